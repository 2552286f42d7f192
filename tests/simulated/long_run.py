"""Fleets until each kind of fault has happened often enough: `scripts/fleets [OF_EACH] [SEED]`."""

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from simulated.fleet import FORGOTTEN, HEARD, Fleet, history
from simulated.forking import CLONED, HEARD_AGAIN, REDEEMED, RESTORED, SPENT_TWICE, ForkingFleet
from simulated.hubs import MemoryHub
from simulated.net import FAULTS, POINTS

COUNTED = (
    *FAULTS,
    "request after later ones (reordered)",
    "hub down",
    "hub restored from an older backup (rows lost)",
    "device killed",
    "device rebooted",
    "clock jumped",
    RESTORED,
    CLONED,
    FORGOTTEN,
    HEARD,
    SPENT_TWICE,
    HEARD_AGAIN,
    REDEEMED,
)
TERMINATED = 128 + signal.SIGTERM
REPLAY_EVERY = 41  # no multiple of three: fleets of both kinds


def scratch() -> Path:
    """Where ledgers may lie that nobody keeps: in memory where there is such a place."""
    shared = Path("/dev/shm")  # noqa: S108
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


class Replaying:
    """A real PostgreSQL to which a sample of the histories is played."""

    def __init__(self, directory: Path) -> None:
        from vafa.hub.embedded import EmbeddedPostgres

        self._directory = directory
        fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self._server = EmbeddedPostgres(directory, fast)
        self._server.__enter__()
        self._count = 0

    def compare(self, seed: int, seen: Counter[str]) -> None:
        """One history in memory, then the same bytes at the hub's own code."""
        import psycopg
        from simulated.postgres_hub import replayed

        from vafa.hub.database import Database, connect, prepared
        from vafa.hub.migrations import migrate

        fleet = history(seed, MemoryHub, seen, scratch(), kind=kind_of(seed))
        assert isinstance(fleet.hub, MemoryHub)
        self._count += 1
        name = f"fleet_{self._count}"
        with connect(self._server.dsn) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        dsn = psycopg.conninfo.make_conninfo(self._server.dsn, dbname=name)
        prepared(dsn, migrate)
        database = Database(dsn)
        keys = {device.number: device.key.public for device in fleet.devices.values()}
        real = replayed(database, fleet.hub.recorded, keys)
        for number in keys:
            assert real.rows(number) == fleet.hub.rows(number), f"seed {seed}, device {number}"
        database.close()
        seen["histories replayed into PostgreSQL, hashes equal"] += 1

    def close(self) -> None:
        self._server.__exit__(None, None, None)


def kind_of(seed: int) -> type[Fleet]:
    """Two of three fleets also lose rows: those faults are the rarest."""
    return ForkingFleet if seed % 3 else Fleet


def run(of_each: int, seed: int, replaying: Replaying) -> Counter[str]:
    """Histories until every kind was seen `of_each` times. Disagreement."""
    seen: Counter[str] = Counter()
    began = told = time.monotonic()
    while min(seen[kind] for kind in COUNTED) < of_each:
        if seen["histories"] % REPLAY_EVERY == 0:
            replaying.compare(seed, seen)
        else:
            history(seed, MemoryHub, seen, scratch(), kind=kind_of(seed))
        seed += 1
        if time.monotonic() - told > 5:
            told = time.monotonic()
            rarest = min(COUNTED, key=lambda kind: seen[kind])
            line = f"{seen['histories']:,} histories, rarest fault: {seen[rarest]:,} x {rarest}"
            sys.stderr.write(f"{told - began:5.0f} s  {line}\n")
    return seen


def main(of_each: int = 1_000, seed: int = 0) -> None:
    """The whole run, and how often each kind of thing happened."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))  # a server half started stays
    with tempfile.TemporaryDirectory(prefix="vafa-fleets-") as folder:
        Path(folder).chmod(0o755)
        replaying = Replaying(Path(folder))
        try:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # by way of `finally`
            if early:
                sys.exit(TERMINATED)
            sys.stderr.write(f"PostgreSQL runs in {folder}\n")
            seen = run(of_each, seed, replaying)
        finally:
            replaying.close()
    places = [f"  killed {point}" for point in POINTS]
    for what in (*COUNTED, *places, *sorted(set(seen) - {*COUNTED, *places})):
        sys.stdout.write(f"{seen[what]:>10,}  {what}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
