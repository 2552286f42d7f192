"""Links: bytes wake a reader, a command wakes a reader, a line that is gone says so and says what to do."""

import errno
import fcntl
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from vafa.model.errors import PortError
from vafa.ports import link as link_module
from vafa.ports.link import Link, open_link
from vafa.ports.tcp import split_host_and_port

LONG_S = 30.0  # far more than any test needs; a test that waits so long has failed


class FarEnd:
    """The terminal's end of a line, over a pty's master or a socket, as plain descriptors."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += os.read(self.descriptor, count - len(data))
        return data

    def hang_up(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@pytest.fixture(params=["pty", "tcp"])
def line(request: pytest.FixtureRequest) -> Iterator[tuple[Link, FarEnd]]:
    if request.param == "pty":
        master, slave = pty.openpty()
        tty.setraw(master)
        link = open_link(os.ttyname(slave), 115_200)
        os.close(slave)
        far_end = FarEnd(master)
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = open_link(f"tcp:127.0.0.1:{server.getsockname()[1]}", 0)
            far_end = FarEnd(server.accept()[0].detach())
    yield link, far_end
    link.close()
    far_end.hang_up()


def test_bytes_go_both_ways_unchanged(line: tuple[Link, FarEnd]) -> None:
    link, far_end = line
    everything = bytes(range(256))
    link.write(everything)
    assert far_end.receive(256) == everything
    far_end.send(everything)
    heard = b""
    while len(heard) < 256:
        heard += link.read(LONG_S)
    assert heard == everything


def test_a_silent_line_reads_as_nothing(line: tuple[Link, FarEnd]) -> None:
    link, _ = line
    assert link.read(0) == b""


def test_a_command_wakes_a_reader_at_once(line: tuple[Link, FarEnd]) -> None:
    link, _ = line
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(link.read(LONG_S)))
    reader.start()
    link.interrupt()
    reader.join(LONG_S / 2)
    assert not reader.is_alive()
    assert heard == [b""]


def test_a_command_before_the_read_is_not_slept_through(line: tuple[Link, FarEnd]) -> None:
    link, far_end = line
    link.interrupt()
    link.interrupt()
    started = time.monotonic()
    assert link.read(LONG_S) == b""
    assert time.monotonic() - started < LONG_S / 2
    far_end.send(b"x")
    assert link.read(LONG_S) == b"x"  # and it woke one read, not every read from then on


def test_bytes_and_a_command_together_lose_neither(line: tuple[Link, FarEnd]) -> None:
    link, far_end = line
    far_end.send(b"ab")
    link.interrupt()
    heard = b""
    while len(heard) < 2:
        heard += link.read(LONG_S)
    assert heard == b"ab"


def test_a_far_end_that_hangs_up_is_a_port_error(line: tuple[Link, FarEnd]) -> None:
    link, far_end = line
    far_end.hang_up()
    with pytest.raises(PortError, match="the line is gone"):
        link.read(LONG_S)


def test_a_far_end_that_takes_nothing_ends_the_write_in_bounded_time(
    line: tuple[Link, FarEnd], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, _ = line
    monkeypatch.setattr(link_module, "WRITE_LIMIT_S", 0.05)
    with pytest.raises(PortError, match="takes no bytes"):
        link.write(bytes(50_000_000))


def test_a_closed_link_refuses_work_and_ignores_commands(line: tuple[Link, FarEnd]) -> None:
    link, _ = line
    link.close()
    link.close()
    link.interrupt()
    with pytest.raises(PortError, match="is closed"):
        link.read(0)
    with pytest.raises(PortError, match="is closed"):
        link.write(b"x")


def test_a_missing_serial_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="ttyUSB7 is not there") as caught:
        open_link(str(tmp_path / "ttyUSB7"), 115_200)
    assert caught.value.code == "SER-002"


@pytest.mark.parametrize(
    ("ours", "words"), [(True, "the same port under another name"), (False, "stop the vendor's program")]
)
def test_a_serial_line_in_use_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, ours: bool, words: str
) -> None:
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    try:
        fcntl.flock(slave, fcntl.LOCK_EX)
        if not ours:  # as where the system shows nobody who holds it
            monkeypatch.setattr("vafa.ports.serial_line.locked_here", lambda _: False)
        with pytest.raises(PortError, match=words) as caught:
            open_link(path, 115_200)
        assert (caught.value.code, path in str(caught.value)) == ("SER-005", True)
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("number", "missing"),
    [(errno.EACCES, "in the group dialout"), (errno.EPERM, "in the service's DeviceAllow")],
)
def test_a_serial_line_without_permission_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, number: int, missing: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(number, os.strerror(number))

    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with pytest.raises(PortError, match=missing) as caught:
        open_link("/dev/ttyUSB0", 115_200)
    assert caught.value.code == "SER-003"


def test_a_file_is_not_a_serial_line(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with pytest.raises(PortError, match="cannot be opened as a serial line"):
        open_link(str(plain), 115_200)


def test_a_terminal_that_does_not_listen_is_told_apart_from_a_missing_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortError, match="nothing listens on that port"):
        open_link(f"tcp:127.0.0.1:{port}", 0)


@pytest.mark.parametrize(
    "text", ["", "8888", "host", "host:", ":8888", "host:0", "host:65536", "host:۸۸", "h:-1"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PortError, match="is no address"):
        split_host_and_port(text)


def test_an_ipv6_address_loses_its_brackets() -> None:
    assert split_host_and_port("[2001:db8::1]:8888") == ("2001:db8::1", 8888)
