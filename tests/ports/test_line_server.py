"""One bad client harms nobody else: each kind of bad client beside a good one that keeps being answered."""

import contextlib
import grp
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from vafa.model.errors import PortError
from vafa.ports import line_server
from vafa.ports.allowance import Allowance
from vafa.ports.line_server import Limits, LineServer, Peer
from vafa.ports.unix_place import UnixPlace

PATIENCE_S = 20.0
LIMITS = Limits(connections=6, connections_per_process=5, line_bytes=1000, write_s=0.2)


class Client:
    """A client of a test: a plain socket and the lines that come back."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")

    def ask(self, line: bytes) -> bytes:
        self.socket.sendall(line + b"\n")
        return self.lines.readline().rstrip(b"\n")

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Shop:
    """The server under test with an echoing handler, and every client opened."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "local.sock"
        self.peers: list[Peer] = []
        self.proceed, self.entered = threading.Event(), threading.Event()
        self.clients: list[Client] = []
        self.server = LineServer(UnixPlace(self.path, 0o660, ""), self.handle, LIMITS)

    def handle(self, line: bytes, peer: Peer) -> bytes | None:
        self.peers.append(peer)
        match line:
            case b"crash":
                raise ValueError("a bug")
            case b"mute":
                return None
            case b"wait":
                self.entered.set()
                assert self.proceed.wait(PATIENCE_S)
                return b"waited"
            case b"big":
                return b"x" * 4_000_000
            case _:
                return b"heard " + line

    def client(self) -> Client:
        self.clients.append(Client(self.path))
        return self.clients[-1]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.server.start()
    yield shop
    shop.proceed.set()
    for client in shop.clients:
        client.close()
    shop.server.stop()


@pytest.fixture
def good(shop: Shop) -> Iterator[Client]:
    """A client that was there before the bad one, and is still answered afterwards; so is a new one."""
    client = shop.client()
    assert client.ask(b"before") == b"heard before"
    yield client
    assert client.ask(b"after") == b"heard after"
    assert shop.client().ask(b"new") == b"heard new"


def test_each_line_gets_its_answer_in_order(shop: Shop) -> None:
    client = shop.client()
    client.socket.sendall(b"a\nb\nc")
    assert [client.lines.readline(), client.lines.readline()] == [b"heard a\n", b"heard b\n"]
    client.socket.sendall(b"d\nmute\ne\n")
    assert [client.lines.readline(), client.lines.readline()] == [b"heard cd\n", b"heard e\n"]
    assert shop.peers[0] == Peer(os.getpid(), os.getuid(), os.getgid())


def test_a_hanging_client_harms_nobody(shop: Shop, good: Client) -> None:
    shop.client().socket.sendall(b"half a requ")


def test_a_client_whose_request_takes_long_harms_nobody(shop: Shop, good: Client) -> None:
    shop.client().socket.sendall(b"wait\n")
    assert shop.entered.wait(PATIENCE_S)


def test_a_client_that_does_not_read_is_dropped(shop: Shop, good: Client) -> None:
    deaf = shop.client()
    deaf.socket.sendall(b"big\n")
    with structlog.testing.capture_logs():
        while len(deaf.lines.read(1_000_000) or b"") == 1_000_000:
            good.ask(b"meanwhile")
            threading.Event().wait(LIMITS.write_s * 2)
    assert deaf.lines.read() == b""


def test_a_flood_is_slowed_and_harms_nobody(shop: Shop, good: Client) -> None:
    flood = shop.client()
    flood.socket.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):  # the server reads no faster than it serves
        while taken < 100_000_000:
            taken += flood.socket.send(b"flood\n" * 1000)
    assert taken < 100_000_000
    assert good.ask(b"meanwhile") == b"heard meanwhile"


def test_a_flood_is_served_no_faster_than_its_allowance(tmp_path: Path) -> None:
    limits = Limits(burst_requests=10, requests_per_s=200.0)
    server = LineServer(UnixPlace(tmp_path / "x.sock", 0o600, ""), lambda line, peer: line, limits)
    server.start()
    started = time.monotonic()
    flood = Client(tmp_path / "x.sock")
    flood.socket.sendall(b"flood\n" * 50)
    assert [flood.lines.readline() for _ in range(50)] == [b"flood\n"] * 50
    assert 10 + 200.0 * (time.monotonic() - started) + 1 >= 50
    flood.close()
    server.stop()


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x80", b"\0\0\0", b"", b"\r", bytes(range(11, 256))])
def test_garbage_reaches_the_handler_as_it_is(shop: Shop, good: Client, garbage: bytes) -> None:
    assert shop.client().ask(garbage) == b"heard " + garbage


def test_a_line_of_10_mb_gets_one_refusal_and_the_end(shop: Shop, good: Client) -> None:
    client = shop.client()
    with pytest.raises(BrokenPipeError):
        client.socket.sendall(b"x" * 10_000_000)
    assert json.loads(client.lines.readline())["error"] == "SRV-002"


def test_a_line_may_have_the_whole_limit_and_no_byte_more(shop: Shop) -> None:
    assert shop.client().ask(b"x" * 1000) == b"heard " + b"x" * 1000
    assert json.loads(shop.client().ask(b"x" * 1001))["error"] == "SRV-002"


def test_a_half_closing_client_still_gets_its_answers(shop: Shop, good: Client) -> None:
    client = shop.client()
    client.socket.sendall(b"one\ntwo\ncut off")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.lines.read() == b"heard one\nheard two\n"


def test_a_crash_of_the_handler_costs_one_answer(shop: Shop, good: Client) -> None:
    with structlog.testing.capture_logs() as logged:
        assert json.loads(shop.client().ask(b"crash"))["error"] == "SRV-003"
    assert [entry["event"] for entry in logged] == ["request_crashed"]


def test_one_process_cannot_take_every_connection(shop: Shop) -> None:
    for _ in range(LIMITS.connections_per_process):
        assert shop.client().ask(b"x") == b"heard x"
    refused = shop.client()
    assert json.loads(refused.lines.readline())["error"] == "SRV-001"
    assert refused.lines.read() == b""
    connect = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    talk = connect + "; s.sendall(b'x\\n'); assert s.recv(99) == b'heard x\\n'"
    subprocess.run([sys.executable, "-c", talk, str(shop.path)], check=True, timeout=PATIENCE_S)


def test_a_client_is_not_sent_away_for_connections_it_has_closed(shop: Shop) -> None:
    hung_up = [shop.client() for _ in range(LIMITS.connections_per_process)]
    for client in hung_up:
        shop.entered.clear()
        client.socket.sendall(b"wait\n")
        assert shop.entered.wait(PATIENCE_S)
        client.close()  # its thread is still busy for it
    assert shop.client().ask(b"x") == b"heard x"
    assert json.loads(shop.client().lines.readline())["error"] == "SRV-001", "the places in all are taken"


def test_a_connection_that_its_thread_closes_while_they_are_counted_is_a_closed_one() -> None:
    """The acceptor counts what others are about to close; that once ended it, and the socket for good."""
    here, there = socket.socketpair()
    with here, there:
        assert not line_server._is_closed(here)
        there.close()
        assert line_server._is_closed(here)
        here.close()
        assert line_server._is_closed(here)


def test_a_client_that_waits_for_its_last_answer_still_counts(shop: Shop) -> None:
    for _ in range(LIMITS.connections_per_process):
        waiting = shop.client()
        waiting.socket.sendall(b"wait\n")
        waiting.socket.shutdown(socket.SHUT_WR)
    assert json.loads(shop.client().lines.readline())["error"] == "SRV-001"


def test_a_system_without_threads_left_refuses_one_connection_and_serves_the_next(
    shop: Shop, good: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        refused = shop.client()
        assert json.loads(refused.lines.readline())["error"] == "SRV-001"
        assert refused.lines.readline() == b""
    assert shop.client().ask(b"again") == b"heard again"


def test_a_connection_that_ends_makes_room(shop: Shop) -> None:
    for _ in range(LIMITS.connections * 3):
        client = shop.client()
        assert client.ask(b"x") == b"heard x"
        client.socket.shutdown(socket.SHUT_RDWR)
        while shop.server._open:  # its thread is ending
            threading.Event().wait(0.001)


def test_the_socket_has_its_mode_and_group_and_no_private_name_is_left(tmp_path: Path) -> None:
    own_group = grp.getgrgid(os.getgid()).gr_name
    server = LineServer(UnixPlace(tmp_path / "control.sock", 0o620, own_group), lambda line, peer: line)
    server.start()
    try:
        found = (tmp_path / "control.sock").stat()
        assert stat.S_IMODE(found.st_mode) == 0o620
        assert found.st_gid == os.getgid()
        assert [file.name for file in tmp_path.iterdir()] == ["control.sock"]
    finally:
        server.stop()
    assert list(tmp_path.iterdir()) == []


def test_stopping_finishes_the_request_in_hand_and_takes_no_other(shop: Shop) -> None:
    client, idle = shop.client(), shop.client()
    assert idle.ask(b"x") == b"heard x"
    client.socket.sendall(b"wait\nnever served\n")
    assert shop.entered.wait(PATIENCE_S)
    stopper = threading.Thread(target=shop.server.stop, args=(PATIENCE_S,))
    stopper.start()
    assert idle.lines.read() == b""  # so stop has begun
    shop.proceed.set()
    assert client.lines.read() == b"waited\n"
    stopper.join(PATIENCE_S)
    assert not shop.path.exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("client", "accept"))]


def test_a_socket_left_by_a_dead_process_is_replaced(shop: Shop, tmp_path: Path) -> None:
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    server = LineServer(UnixPlace(left, 0o600, ""), lambda line, peer: line)
    server.start()
    client = Client(left)
    assert client.ask(b"x") == b"x"
    client.close()
    server.stop()


def test_the_socket_of_a_living_process_is_left_alone(shop: Shop) -> None:
    second = LineServer(UnixPlace(shop.path, 0o600, ""), lambda line, peer: line)
    with pytest.raises(PortError, match="served by another process"):
        second.start()
    second.stop()
    assert shop.client().ask(b"x") == b"heard x"


def test_a_successors_socket_is_not_removed(shop: Shop) -> None:
    shop.path.unlink()
    shop.path.write_text("a successor's")
    shop.server.stop()
    assert shop.path.exists()


@pytest.mark.parametrize(
    ("name", "group", "message"),
    [
        ("file", "", "it is no socket"),
        ("none/x.sock", "", "cannot be made"),
        ("x.sock", "no-such-group", "no group 'no-such-group'"),
        ("x" * 110, "", "bytes at most"),
    ],
)
def test_a_socket_that_cannot_be_made_says_why(tmp_path: Path, name: str, group: str, message: str) -> None:
    (tmp_path / "file").write_text("precious")
    server = LineServer(UnixPlace(tmp_path / name, 0o600, group), lambda line, peer: line)
    with pytest.raises(PortError, match=message):
        server.start()
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


def test_a_group_the_process_is_no_member_of_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_ours(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", not_ours)
    ours = grp.getgrgid(os.getgid()).gr_name
    with pytest.raises(PortError, match=f"the group '{ours}', of which") as told:
        LineServer(UnixPlace(tmp_path / "local.sock", 0o660, ours), lambda line, _peer: line).start()
    assert f"SupplementaryGroups={ours}" in told.value.fix
    assert list(tmp_path.iterdir()) == []


def test_the_allowance_gives_a_burst_and_then_a_rate() -> None:
    allowance = Allowance(burst=3, per_s=2.0, now=100.0)
    assert [allowance.take(100.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    assert allowance.take(102.5) == 0  # what was owed has been waited for
    assert allowance.take(1000.0) == 0
    assert [allowance.take(1000.0) for _ in range(3)] == [0, 0, 0.5]  # a long rest gives one burst, not many
