"""`vafa demo --hub`: two devices and a hub, links cut and mended, the hub killed; the proof that all agree.

What the hub holds is read from its own database, not asked of it, and compared with what was told at the
counters and with the last row of each device's own ledger file.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vafa.cli import demo_hub_words as words
from vafa.cli.demo_fleet import Device, Hub
from vafa.cli.demo_proof import Proof
from vafa.cli.demo_shop import folders
from vafa.model.errors import Refused

if TYPE_CHECKING:
    from vafa.cli.demo_screen import Screen

BEFORE, OFFLINE, DARK = 10, 30, 10
AMOUNT = 125_000
SYNC_WITHIN_S = 60


class Fleet:
    """The hub and its two devices."""

    def __init__(self, directory: Path, run: Path) -> None:
        run.chmod(0o711)  # as root the database runs under an account of its own, which must get there
        self.hub = Hub(run / "hub", directory / "hub.log")
        self.left = Device(words.LEFT, directory / "left", run / "left", self.hub)
        self.right = Device(words.RIGHT, directory / "right", run / "right", self.hub)
        self.merchant = ""

    @property
    def devices(self) -> tuple[Device, Device]:
        """Both."""
        return self.left, self.right

    def close(self) -> None:
        """Take everything down, the devices first."""
        for each in (*self.devices, self.hub):
            each.close()


class Story:
    """Tells the demo; `proofs` is what it comes to."""

    def __init__(self, fleet: Fleet, screen: "Screen") -> None:
        self._fleet, self._screen = fleet, screen
        self._sold = 0
        self._offline: list[dict[str, Any]] = []
        self._repeats: list[bool] = []

    def tell(self) -> list[Proof]:
        """From the first sale without a hub to the comparison of all hashes."""
        fleet, say = self._fleet, self._screen
        for each in fleet.devices:
            each.start_daemon()
        self._step("alone", count=BEFORE)
        self._sell(fleet.left, BEFORE)
        self._sell(fleet.right, BEFORE)
        fleet.hub.start()
        self._step("enrol")
        self._enrol()
        self._sync()
        self._step("single")
        self._sell(fleet.left, 1)
        self._sync()
        alone = self._last_sync(fleet.left, rows=1)
        self._step("cut", count=OFFLINE, others=1)
        fleet.right.cable.cut()
        self._offline += self._sell(fleet.right, OFFLINE)
        self._sell(fleet.left, 1)
        self._step("killed", count=DARK)
        fleet.hub.kill()
        for each in fleet.devices:
            self._offline += self._sell(each, DARK)
            waiting = each.asked("sync", "status")["facts"]["waiting"]
            say.good(say.words(words.WAITING, device=say.words(each.name), rows=waiting))
        self._step("back")
        fleet.hub.start()
        fleet.right.cable.mend()
        self._sync()
        batch = self._last_sync(fleet.right, rows=OFFLINE)
        self._step("again")
        for each in fleet.devices:
            ref, amount = next(iter(each.refs.items()))
            first, again = each.pay(ref, amount), each.pay(ref, amount)
            self._repeats.append(first == again)
        self._sync()
        return [*self._prove(), *_costs(alone, batch), self._stopped()]

    def _step(self, name: str, **facts: Any) -> None:
        self._screen.begin(words.STEPS[name], **facts)

    def _sell(self, device: Device, count: int) -> list[dict[str, Any]]:
        answers = []
        for _ in range(count):
            self._sold += 1
            answers.append(device.pay(f"bill-{self._sold}", AMOUNT + 1_000 * self._sold))
        self._screen.good(self._screen.words(words.SLOWEST, ms=round(device.slowest_ms, 1)))
        return answers

    def _enrol(self) -> None:
        fleet = self._fleet
        made = fleet.hub.verb("merchant", "add", "Kafe Negin")
        fleet.merchant = made["merchants"][0]["merchant"]
        for each in fleet.devices:
            code = fleet.hub.verb("code", "add", fleet.merchant, "--label", each.name[0])["code"]
            typed = ("enrol", code, "--hub", each.url, "--ca", str(fleet.hub.authority))
            exit_code, printed = each.verb(*typed)
            self._screen.verb(f"vafa enrol {code} --hub {each.url}", printed)
            if exit_code:
                raise Refused(f"enrolment failed: {printed.strip()}", fix="vafa demo --hub --keep DIR")

    def _sync(self) -> None:
        """Until nothing waits anywhere."""
        for each in self._fleet.devices:
            each.verb("sync", "now", "--within", str(SYNC_WITHIN_S))

    def _last_sync(self, device: Device, rows: int) -> dict[str, Any]:
        """The newest sync of the device that carried at least so many rows."""
        syncs: list[dict[str, Any]] = device.asked("sync", "log", "-n", "50")["syncs"]
        return next((each for each in syncs if each["ok"] and each["rows"] >= rows), {})

    def _prove(self) -> Iterator[Proof]:
        fleet, say = self._fleet, self._screen
        told = {ref for each in fleet.devices for ref in each.refs}
        held = [ref for number in (1, 2) for ref in _payments(fleet, number)]
        lost, doubled = len(told - set(held)), len(held) - len(set(held))
        yield Proof(
            "told",
            not lost and not doubled,
            {"told": len(told), "held": len(held), "lost": lost, "doubled": doubled},
        )
        answered = sum("points" in each for each in self._offline)
        offline = {"count": len(self._offline), "answered": answered}
        yield Proof("offline", answered == len(self._offline), offline)
        same = sum(self._repeats)
        yield Proof("repeat", same == len(self._repeats), {"same": same, "said": len(self._repeats)})
        for number, each in enumerate(fleet.devices, 1):
            name = say.words(each.name)
            yield _same_hashes(fleet, number, each, name)
            facts = each.asked("sync", "status")["facts"]
            queue = {"device": name, "waiting": facts["waiting"], "suspense": facts["suspense"]}
            yield Proof("queue", not facts["waiting"] and not facts["suspense"], queue)
            code, _ = each.verb("verify")
            yield Proof("verify", code == 0, {"device": name, "code": code})

    def _stopped(self) -> Proof:
        codes = [*(each.stop_daemon() for each in self._fleet.devices), self._fleet.hub.stop()]
        return Proof("stopped", not any(codes), {"codes": ", ".join(str(code) for code in codes)})


def _costs(alone: dict[str, Any], batch: dict[str, Any]) -> list[Proof]:
    """What a lone event and a batch cost on the wire."""
    if not alone or not batch:
        return [Proof("alone", holds=False, facts={"payload": 0, "link": 0})]
    each = batch["up"] // batch["rows"]
    return [
        Proof("alone", alone["rows"] == 1, {"payload": alone["up"], "link": alone["link_bytes"]}),
        Proof("batch", holds=True, facts={"rows": batch["rows"], "payload": batch["up"], "each": each}),
    ]


def _same_hashes(fleet: Fleet, number: int, device: Device, name: str) -> Proof:
    """The last row of the device's ledger file against the line in the hub's database."""
    from vafa.cli.hub_options import transaction
    from vafa.hub.lines import current, lines_of
    from vafa.ledger.storage import connect_reader, ledger_path

    connection = connect_reader(ledger_path(device.state / "state"))
    try:
        seq, chain, books = connection.execute(
            "SELECT seq, hash, state FROM journal ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    finally:
        connection.close()
    with transaction("", fleet.hub.state / "hub") as hub:
        line = current(lines_of(hub, fleet.merchant, number))
    same = (line.seq, line.hash, line.state) == (seq, chain, books)
    theirs = "=" if same else f"{line.seq} {line.hash.hex()[:8]} {line.state.hex()[:8]}"
    shown = {"seq": seq, "chain": chain.hex()[:8], "books": books.hex()[:8], "theirs": theirs}
    return Proof("chain", same, {"device": name, **shown})


def _payments(fleet: Fleet, number: int) -> list[str]:
    """The references of all payments the hub has of a device, from its database."""
    from vafa.cli.hub_options import transaction

    with transaction("", fleet.hub.state / "hub") as hub:
        rows = hub.execute(
            "SELECT ref FROM payment WHERE merchant_id = %s AND device = %s", (fleet.merchant, number)
        ).fetchall()
    return [str(row[0]) for row in rows]


@contextlib.contextmanager
def open_fleet(keep: Path | None) -> Iterator[Fleet]:
    """A fleet in temporary folders, or with what it keeps in `keep`; its processes end after. Refused."""
    with folders(keep, "fleet") as (directory, run), contextlib.closing(Fleet(directory, run)) as fleet:
        yield fleet
