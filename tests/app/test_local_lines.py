"""The local protocol over a socket, a port and a cable: one real daemon process, the same answers on each."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cable_end import PATIENCE_S, CableEnd
from click.testing import CliRunner
from desk_bench import conforms

from vafa.cli.doctor import command as doctor_command
from vafa.cli.measure.running import daemon
from vafa.cli.status import command as status_command
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model.payment import PaymentKey, Scheme

TID = "40217736"
CONFIG = """[shop]
name = "کافه نگین"
[ledger]
directory = "state"
[local]
socket = "local.sock"
tcp = "{tcp}"
secret = "secret"
serial = "{tty}"
baud = 19200
[control]
socket = "control.sock"
[[terminal]]
id = "{tid}"
mode = "local"
"""
PAGE = Path(__file__).parents[2] / "docs" / "local-protocol.md"
PORTS = count(7117)
Ask = Callable[[dict[str, Any]], bytes]


class Device:
    """The daemon and its three lines."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.end = CableEnd(directory / "ttyX")
        # an address of our own in 127/8: no other test of this machine has its ports
        self.tcp = (f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250}.7", next(PORTS))
        self.config = directory / "config.toml"
        self.config.write_text(
            CONFIG.format(tcp="{}:{}".format(*self.tcp), tty=self.end.path, tid=TID), encoding="utf-8"
        )

    def on_socket(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(PATIENCE_S)
        line.connect(str(self.directory / "local.sock"))
        return line

    def on_port(self, secret: str | None = None) -> socket.socket:
        """A connection that has told the secret, or another one."""
        line = socket.create_connection(self.tcp, PATIENCE_S)
        told = secret or (self.directory / "secret").read_text().strip()
        line.sendall(encoded({"op": "hello", "secret": told}))
        return line

    def over_socket(self, message: dict[str, Any]) -> bytes:
        with closing(self.on_socket()) as line, line.makefile("rb") as answers:
            line.sendall(encoded(message))
            return answers.readline().rstrip(b"\n")

    def over_tcp(self, message: dict[str, Any]) -> bytes:
        with closing(self.on_port()) as line, line.makefile("rb") as answers:
            assert json.loads(answers.readline())["answer"] == "welcome"
            line.sendall(encoded(message))
            return answers.readline().rstrip(b"\n")

    def over_cable(self, message: dict[str, Any]) -> bytes:
        answer = None
        while answer is None:  # nobody there yet, or the line was lost: the sender repeats
            self.end.send(encoded(message))
            answer = self.end.line(within_s=1.0)
        return answer


def encoded(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def pay(ref: str) -> dict[str, Any]:
    return {"op": "payment", "terminal": TID, "ref": ref, "amount": 125_000, "id": ref}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    device = Device(tmp_path_factory.mktemp("lines"))
    device.end.plug()
    with daemon(device.config):
        yield device
    device.end.pull()


@pytest.fixture
def nobody_is_harmed(device: Device) -> Iterator[None]:
    """Whatever a test does to one line, all three answer afterwards."""
    yield
    for ask in lines(device):
        assert json.loads(ask({"op": "ping"}))["answer"] == "pong"


def lines(device: Device) -> tuple[Ask, Ask, Ask]:
    return device.over_socket, device.over_tcp, device.over_cable


def test_a_payment_told_again_over_any_line_gets_the_same_answer_byte_for_byte(device: Device) -> None:
    for number, first in enumerate(lines(device)):
        answer = first(pay(f"same-{number}"))
        told = json.loads(answer)
        assert (told["answer"], told["points"]) == ("paid", 12)
        assert conforms("answer", told)
        assert [ask(pay(f"same-{number}")) for ask in lines(device)] == [answer] * 3


def test_a_hello_needs_the_secret_over_tcp_alone(device: Device) -> None:
    for ask in (device.over_socket, device.over_cable):
        assert json.loads(ask({"op": "hello", "client": "till 3"}))["answer"] == "welcome"
    with closing(device.on_port("0" * 64)) as stranger, stranger.makefile("rb") as answers:
        refused = json.loads(answers.readline())
        assert (refused["code"], answers.read()) == ("ASK-007", b"")
        assert conforms("answer", refused)


def test_a_web_page_s_post_is_heard_as_a_stranger(device: Device, nobody_is_harmed: None) -> None:
    with closing(socket.create_connection(device.tcp, PATIENCE_S)) as page, page.makefile("rb") as answers:
        body = encoded(pay("from a web page"))
        page.sendall(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert json.loads(answers.readline())["code"] == "ASK-007"
        assert answers.read() == b""
    key = PaymentKey(Scheme.SENDER, TID, "from a web page")
    with closing(connect_reader(device.directory / "state/ledger.db")) as connection:
        assert reads.payment(connection, key) is None


def test_those_who_hang_flood_or_send_garbage_harm_nobody(device: Device, nobody_is_harmed: None) -> None:
    device.end.send(b'{"op":"hel')
    hanging = [
        device.on_socket(),
        device.on_port(),
        *(socket.create_connection(device.tcp) for _ in range(50)),
    ]
    for line in hanging:
        line.sendall(b"half a requ")
    flood = device.on_port()
    flood.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            flood.send(b"\xff\x00 garbage \n" * 1_000)
    device.end.send(bytes(range(256)) * 20)
    for number, ask in enumerate(lines(device)):
        assert json.loads(ask(pay(f"meanwhile-{number}")))["answer"] == "paid"
    for line in (*hanging, flood):
        line.close()


def test_a_cable_pulled_in_the_middle_and_put_back_goes_on(device: Device, nobody_is_harmed: None) -> None:
    request = encoded(pay("pulled"))
    answers = set()
    for kept in (len(request) // 2, len(request) - 1, len(request)):
        device.end.send(request[:kept])
        device.end.pull()
        assert json.loads(device.over_socket({"op": "ping"}))["answer"] == "pong"
        device.end.plug()
        answers.add(device.over_cable(pay("pulled")))
    assert len(answers) == 1
    assert json.loads(answers.pop())["answer"] == "paid"


@pytest.mark.parametrize("way", ["socket", "tcp", "serial"])
def test_the_page_s_example_clients_are_answered(device: Device, way: str) -> None:
    (example,) = re.findall(rf"^```python {way}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    host, port = device.tcp
    device.over_cable({"op": "ping"})  # its line is open
    with device.end.lent() as far_port:
        for written, here in (
            ("/run/vafa/local.sock", str(device.directory / "local.sock")),
            ("/run/vafa/local.secret", str(device.directory / "secret")),
            ('"127.0.0.1", 7117', f'"{host}", {port}'),
            ("/dev/ttyUSB1", far_port),
        ):
            example = example.replace(written, here)
        ran = subprocess.run(
            [sys.executable, "-c", example], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    assert ran.stderr == ""
    assert ran.stdout.startswith("{'answer': " + ("'welcome'" if way == "tcp" else "'pong'"))


def test_status_names_the_lines_and_who_uses_them(device: Device) -> None:
    device.over_cable({"op": "ping"})
    with closing(device.on_socket()) as one, closing(device.on_port()) as other:
        for line in (one, other):
            line.sendall(b'{"op":"ping"}\n')
            line.recv(1)
        shown = CliRunner().invoke(status_command, ["--config", str(device.config)])
        assert f"  Local     local.sock 1 client, {device.tcp[0]}:7117 1 client, ttyX open" in shown.output
        asked = CliRunner().invoke(status_command, ["--config", str(device.config), "--json"])
        told = json.loads(asked.output)
    assert [(line["kind"], line["state"]) for line in told["local"]] == [
        ("socket", "listening"), ("tcp", "listening"), ("serial", "open"),
    ]  # fmt: skip


def test_the_doctor_names_the_lines_and_misses_a_secret_that_was_removed(device: Device) -> None:
    device.over_cable({"op": "ping"})

    def found() -> list[tuple[str, str, str]]:
        asked = CliRunner().invoke(doctor_command, ["--config", str(device.config), "--json"])
        report = json.loads(asked.stdout)
        return [
            (finding["level"], finding["what"], finding["code"])
            for finding in report["findings"]
            if finding["name"] == "local"
        ]

    port = f"{device.tcp[0]}:{device.tcp[1]}"
    assert [level for level, _, _ in found()] == ["ok"] * 3
    assert any(what.startswith(f"{device.end.path} open") for _, what, _ in found())
    secret = device.directory / "secret"
    told = secret.read_text()
    secret.unlink()
    assert found()[0] == ("warn", f"{port} listens, but the secret to come in with is gone", "KEY-002")
    secret.write_text(told)
    secret.chmod(0o640)


def test_a_cable_that_is_out_is_trouble_for_status(tmp_path: Path) -> None:
    device = Device(tmp_path)
    with daemon(device.config):
        shown = ""
        while "[SER-002]" not in shown:  # it is ready before it has tried the cable
            asked = CliRunner().invoke(status_command, ["--config", str(device.config)])
            shown = asked.output
    assert asked.exit_code == 10
    assert "The payment application's cable is not heard" in asked.output
    assert "! Plug it in" in asked.output
    assert "terminal.address" not in asked.output


def test_eight_lanes_at_once_lose_nothing_and_are_never_told_locked(tmp_path: Path) -> None:
    """Each lane on a line of its own kind, all at once, half of it told twice: every payment earns once."""
    device = Device(tmp_path)
    device.end.plug()
    payments, lanes = 40, 8
    told: dict[int, list[dict[str, Any]]] = {}
    begin = threading.Barrier(lanes)

    def lane(number: int) -> None:
        with (
            closing(device.on_port() if number % 2 else device.on_socket()) as line,
            line.makefile("rb") as answers,
        ):
            if number % 2:
                answers.readline()
            begin.wait(PATIENCE_S)
            for turn in range(payments):
                line.sendall(encoded(pay(f"{number}-{turn}")) * (1 + turn % 2))
            told[number] = [json.loads(answers.readline()) for _ in range(payments * 3 // 2)]

    with daemon(device.config):
        threads = [threading.Thread(target=lane, args=(number,)) for number in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "locked" not in (tmp_path / "log").read_text()
    device.end.pull()
    answers = [answer for lane_s in told.values() for answer in lane_s]
    assert {answer["answer"] for answer in answers} == {"paid"}
    assert (
        len({answer["number"] for answer in answers}) == len({a["id"] for a in answers}) == payments * lanes
    )
    assert awards(tmp_path) == payments * lanes


def awards(directory: Path) -> int:
    with closing(connect_reader(directory / "state/ledger.db")) as connection:
        found = verify(connection, lambda *_: "")
    assert found.bad == ()
    return found.awards
