"""The real daemon for minutes or hours: sales, noise, kills; memory and descriptors flat, books right.

    PYTHONPATH=tests python -m soak.real [MINUTES] [SEED]      20 minutes unless told

Payments, repetitions, voids, refunds and members come over the local protocol; a thousandth of the lines is
garbage; now and then the daemon is killed (-9) in the middle of it, and what had no answer is said again. At
the end `vafa verify` must agree, and the points with what was counted here from the requests alone.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from vafa.cli.measure.running import cpu_s, daemon, memory_bytes, vafa_command

PER = 10_000  # the plain example: a point for each
TID = "40217736"
KILL_EVERY_S = 60.0
PACE_S = 0.1  # ten times a busy shop's 860 sales a day, and five times that
SETTLED_S = 30.0
GROWN_BYTES_MAX = 3_000_000
_CONFIG = """[shop]
name = "soak"
[ledger]
directory = "{directory}/state"
[local]
socket = "{directory}/local.sock"
[control]
socket = "{directory}/control.sock"
[[terminal]]
id = "{tid}"
mode = "local"
"""


class Till:
    """A payment application that says again what had no answer."""

    def __init__(self, place: Path, chance: Random) -> None:
        self._place, self._chance = place, chance
        self._line: socket.socket | None = None
        self._file: Any = None
        self.points = self.sales = self.said_again = 0
        self._left: list[tuple[str, int]] = []
        self._numbers = 0

    def connect(self) -> None:
        self.close()
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(self._place))
        self._line.settimeout(20)
        self._file = self._line.makefile("rwb")

    def close(self) -> None:
        if self._line is not None:
            self._file.close()
            self._line.close()
            self._line = None

    def say(self, line: bytes) -> Any:
        """The answer to a line. OSError where none comes."""
        self._file.write(line + b"\n")
        self._file.flush()
        answer = self._file.readline()
        if not answer:
            raise ConnectionError("no answer")
        return json.loads(answer)

    def next(self) -> tuple[dict[str, Any], int]:
        """(a request, the points it brings once it is answered)."""
        self._numbers += 1
        chance, number = self._chance, self._numbers
        dice = chance.random()
        if dice < 0.03 and self._left:
            ref, points = self._left.pop(chance.randrange(len(self._left)))
            return {"op": "void", "terminal": TID, "ref": ref, "request": f"v{number}"}, -points
        if dice < 0.06 and self._left:
            ref, points = self._left.pop(chance.randrange(len(self._left)))
            part = chance.randint(1, points)
            refund = {
                "op": "refund",
                "terminal": TID,
                "ref": ref,
                "amount": part * PER,
                "request": f"r{number}",
            }
            return refund, -part
        if dice < 0.10:
            return {"op": "member", "member": f"0912{chance.randrange(200):07d}"}, 0
        if dice < 0.15:
            return {"op": "ping"}, 0
        self.sales += 1
        points, ref = chance.randint(1, 900), f"p{number}"
        request = {"op": "payment", "terminal": TID, "ref": ref, "amount": points * PER}
        if chance.random() < 0.7:
            request["card"] = {"mask": f"621986******{chance.randrange(1_000):04d}"}
        self._left = [*self._left[-500:], (ref, points)]
        return request, points

    def garbage(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(1, 300)).replace(b"\n", b"")


def soak(directory: Path, minutes: float, seed: int) -> int:
    """0 when all was well; what went wrong is told."""
    chance = Random(seed)  # noqa: S311 - invented sales
    config = directory / "config.toml"
    config.write_text(_CONFIG.format(directory=directory, tid=TID), encoding="utf-8")
    till, ends_at = Till(directory / "local.sock", chance), time.monotonic() + minutes * 60
    samples: list[tuple[float, int, int]] = []
    pending: tuple[dict[str, Any], int] | None = None
    kills = garbled = 0
    while time.monotonic() < ends_at:
        with daemon(config) as running:
            till.connect()
            dies_at, settled_at = time.monotonic() + KILL_EVERY_S, time.monotonic() + SETTLED_S
            lives = (
                chance.random() < 0.5
            )  # half of the time two kills in a row would be: the next kill is later
            dies_at += KILL_EVERY_S * 4 if lives else 0.0
            while time.monotonic() < min(dies_at, ends_at):
                pending = pending or till.next()
                if chance.random() < 0.001:
                    garbled += 1
                    assert till.say(till.garbage())["answer"] == "failure"
                answer = till.say(json.dumps(pending[0]).encode())
                assert answer["answer"] != "failure", (pending, answer)
                till.points += pending[1]
                pending = None if chance.random() > 0.02 else (pending[0], 0)  # now and then heard twice
                if time.monotonic() > settled_at:
                    settled_at += SETTLED_S
                    samples.append(
                        (cpu_s(running.pid), memory_bytes(running.pid)[0], _descriptors(running.pid))
                    )
                time.sleep(PACE_S * chance.random() * 2)
            if time.monotonic() < ends_at:
                pending = till.next()
                till._file.write(json.dumps(pending[0]).encode() + b"\n")
                till._file.flush()
                os.kill(running.pid, signal.SIGKILL)
                kills, till.said_again = kills + 1, till.said_again + 1
    till.close()
    return _judged(config, till, samples, kills, garbled)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _judged(config: Path, till: Till, samples: list[tuple[float, int, int]], kills: int, garbled: int) -> int:
    done = subprocess.run(
        [*vafa_command(), "verify", "--json", "--config", str(config)], capture_output=True, check=False
    )
    found = json.loads(done.stdout)
    sizes = [size for _, size, _ in samples]
    third = max(1, len(sizes) // 3)
    first, last = sum(sizes[:third]) / third, sum(sizes[-third:]) / third
    descriptors = [count for _, _, count in samples]
    said = {
        "sales": till.sales, "kills": kills, "said again after a kill": till.said_again, "garbage": garbled,
        "points counted here": till.points, "points in the books": found["points"], "verify": found["ok"],
        "rows": found["rows"],
        "memory MB first and last third": (round(first / 1e6, 2), round(last / 1e6, 2)),
        "descriptors": (min(descriptors), max(descriptors)),
    }  # fmt: skip
    print(json.dumps(said, indent=1))  # noqa: T201
    flat = last - first <= GROWN_BYTES_MAX and max(descriptors) - min(descriptors) <= 4
    return 0 if found["ok"] and found["points"] == till.points and flat else 1


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory(prefix="vafa-soak-") as directory:
        return soak(Path(directory), minutes, seed)


if __name__ == "__main__":
    sys.exit(main())
