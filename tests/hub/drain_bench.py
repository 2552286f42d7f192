"""How fast a backlog drains into PostgreSQL, end to end: `python tests/hub/drain_bench.py [ROWS]`.

A real ledger's journal (500 members, strangers between them) goes up as a device sends it: packed, signed,
over one kept HTTP connection, to a hub in a process of its own with an embedded PostgreSQL that flushes
every commit. At the end the last state hash at the hub is the device's. Run it where nothing else runs: two
cores are shared by all three.
"""

import http.client
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hub.device_rows import LEDGER_ID, journal
from hub.served import OWN_KEY
from shop import Shop, payment

from vafa.hub import codes, merchants
from vafa.hub.installation import opened
from vafa.hub.lines import current, lines_of
from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import SealingKey
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import key_id
from vafa.ledger.ledger import Transaction
from vafa.model.chain import Row
from vafa.wire import limits, signing
from vafa.wire.messages import ENROL_PATH, SYNC_PATH, Content, EnrolRequest, Mark, SyncAnswer, SyncRequest
from vafa.wire.rows import pack

MEMBERS = 500


class Device:
    """The least that speaks to a hub."""

    def __init__(self, port: int) -> None:
        material = DeviceKey(b"d" * 32)
        self.signing, self.sealing = SigningKey(material), SealingKey(material)
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.merchant, self.device = "", 0
        self.sent_bytes = 0

    def ask(self, path: str, content: Content) -> object:
        """A request and what its answer holds."""
        unsigned = signing.envelope(
            self.merchant, self.device, os.urandom(16), time.time_ns() // 10**6, content
        )
        body = signing.signed(unsigned, self.signing.sign(signing.request_input(path, unsigned)))
        self.sent_bytes += len(body)
        self.line.request("POST", path, body)
        return signing.answer_content(signing.read_answer(self.line.getresponse().read()))

    def drain(self, rows: list[Row]) -> None:
        """All rows, a thousand a request."""
        before = Mark()
        for first in range(0, len(rows), limits.ROWS_MAX):
            part = rows[first : first + limits.ROWS_MAX]
            answer = self.ask(SYNC_PATH, SyncRequest(pack(part), before, part[-1].hash, rows[-1].seq))
            assert isinstance(answer, SyncAnswer), answer
            before = answer.received
            assert before.seq == part[-1].seq, answer


def backlog(shop: Shop, rows: int) -> list[Row]:
    """A journal of at least so many rows."""
    numbers = (f"0912{n:07d}" for n in range(MEMBERS))
    members = [bytes.fromhex(shop.members.add(number, "", "bench").id) for number in numbers]

    def sales(first: int) -> None:
        def decide(tx: Transaction) -> None:
            for n in range(first, first + 1_000):
                member = members[n * 7919 % MEMBERS] if n % 3 else b""
                paid = payment(320062616116 + n, 50_000 + n * 137 % 900_000, trace=f"{n % 10**6:06d}")
                shop.counter.post_within(tx, paid, member)

        shop.ledger.write(decide)

    for first in range(0, rows, 1_000):
        sales(first)
    return journal(shop)


def measured(state: Path, rows: list[Row]) -> None:
    """Start a hub, drain, compare, print."""
    hub = [
        sys.executable,
        "-m",
        "vafa.cli.main",
        "hub",
        "run",
        "--state",
        str(state),
        "--listen",
        "127.0.0.1:0",
    ]
    with opened("", state) as database:
        with subprocess.Popen(hub, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "serving on" in line)
            device = Device(int(said.split(",")[0].rpartition(":")[2]))
            with database.transaction() as connection:
                merchant = merchants.add(connection, "bench", 1).merchant
                code = codes.make(connection, merchant, "", 48, time.time_ns() // 10**6).replace("-", "")
            keys = (device.signing.public, device.sealing.public, LEDGER_ID)
            device.ask(ENROL_PATH, EnrolRequest(code, *keys, Mark(), key_id(OWN_KEY)))
            device.merchant, device.device = merchant, 1
            began, cpu, sent = time.monotonic(), time.process_time(), device.sent_bytes
            device.drain(rows)
            took, cpu = time.monotonic() - began, time.process_time() - cpu
            device.line.close()
            process.terminate()
        hub_cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        with database.transaction() as connection:
            line = current(lines_of(connection, merchant, 1))
        assert (line.seq, line.state) == (rows[-1].seq, rows[-1].state)
    sys.stdout.write(f"{len(rows):,} rows in {took:.2f} s: {len(rows) / took:,.0f} events/s, hashes agree\n")
    sys.stdout.write(f"{(device.sent_bytes - sent) / len(rows):.1f} B an event; device {cpu:.2f} s of CPU\n")
    sys.stdout.write(
        f"hub (with its start, and PostgreSQL where it began it) {hub_cpu.ru_utime + hub_cpu.ru_stime:.2f} s"
    )


def main() -> None:
    """The whole measurement."""
    rows_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="vafa-drain-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        (directory / "shop").mkdir()
        shop = Shop(directory / "shop")
        rows = backlog(shop, rows_wanted)
        shop.ledger.close()
        measured(directory / "hub", rows)


if __name__ == "__main__":
    main()
