"""A line server on a port of this machine: who may come, and what a stranger costs the others."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import structlog

from vafa.model.errors import PortError
from vafa.ports.line_server import Limits, LineServer
from vafa.ports.loopback_place import LoopbackPlace, loopback_fault

PATIENCE_S = 20.0
SECRET, REFUSED = b"secret", b"who are you"


def free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Client:
    """A connection of a test."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S)
        self.lines = self.socket.makefile("rb")

    def ask(self, line: bytes) -> bytes:
        self.socket.sendall(line + b"\n")
        return self.lines.readline().rstrip(b"\n")

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Shop:
    """A server that repeats what it hears from those who know the secret."""

    def __init__(self, host: str, limits: Limits) -> None:
        self.address = f"{host}:{free_port(host.strip('[]'))}"
        self.clients: list[Client] = []
        self.server = LineServer(
            LoopbackPlace(self.address),
            lambda line, _peer: b"heard " + line,
            limits,
            first=lambda line: None if line == SECRET else REFUSED,
        )
        self.server.start()

    def client(self) -> Client:
        self.clients.append(Client(self.address))
        return self.clients[-1]

    def known(self) -> Client:
        client = self.client()
        assert client.ask(SECRET) == b"heard " + SECRET
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.stop()


@pytest.fixture(params=["127.0.0.1", "[::1]", "127.9.8.7"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(request.param, Limits(connections=4, first_line_s=PATIENCE_S))
    yield shop
    shop.close()


def test_who_tells_the_secret_first_is_served(shop: Shop) -> None:
    client = shop.known()
    assert client.ask(b"a") == b"heard a"
    assert shop.server.clients == 1


@pytest.mark.parametrize("said", [b"", b"a", b"\xff\x00", b"POST / HTTP/1.1\r"])
def test_who_does_not_gets_one_answer_and_nothing_else_is_heard(shop: Shop, said: bytes) -> None:
    stranger = shop.client()
    stranger.socket.sendall(said + b"\n" + SECRET + b"\na\n")
    assert stranger.lines.read() == REFUSED + b"\n"
    assert shop.server.clients == 0


def test_a_stranger_s_line_has_the_same_limit(shop: Shop) -> None:
    stranger = shop.client()
    with pytest.raises(OSError, match=r"reset|pipe"):
        stranger.socket.sendall(b"x" * 10_000_000)


def test_strangers_make_way_and_shut_nobody_out(shop: Shop) -> None:
    known = shop.known()
    silent = [shop.client() for _ in range(20)]
    late = shop.known()
    assert known.ask(b"a") == b"heard a"
    assert late.ask(b"b") == b"heard b"
    assert silent[0].lines.read() == b""  # the one who waited longest was sent away


def test_the_places_of_those_who_are_known_are_not_taken(shop: Shop) -> None:
    known = [shop.known() for _ in range(4)]
    fifth = shop.client()
    assert json.loads(fifth.lines.readline())["error"] == "SRV-001"
    assert [client.ask(b"a") for client in known] == [b"heard a"] * 4


def test_who_says_nothing_is_not_waited_for() -> None:
    shop = Shop("127.0.0.1", Limits(first_line_s=0.05))
    try:
        silent = shop.client()
        silent.socket.sendall(SECRET[:3])
        with structlog.testing.capture_logs():
            assert silent.lines.read() == b""
        known = shop.known()
        threading.Event().wait(0.1)  # longer than a first line may take: it was told
        assert known.ask(b"a") == b"heard a"
    finally:
        shop.close()


def test_a_port_that_another_program_has_is_refused_with_what_to_do(shop: Shop) -> None:
    second = LineServer(LoopbackPlace(shop.address), lambda line, _peer: line)
    with pytest.raises(PortError, match="cannot be listened on") as told:
        second.start()
    assert "ss -ltnp" in told.value.fix
    second.stop()
    shop.known()


def test_a_restart_gets_its_port_back_at_once(shop: Shop) -> None:
    shop.known()
    shop.server.stop()
    again = LineServer(LoopbackPlace(shop.address), lambda line, _peer: line)
    again.start()
    assert shop.client().ask(b"a") == b"a"
    again.stop()


@pytest.mark.parametrize("address", ["127.0.0.1:7117", "127.1.2.3:1", "[::1]:65535"])
def test_loopback_is_allowed(address: str) -> None:
    assert loopback_fault(address) == ""


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.0.0.0:7117", "can be reached from outside"),
        ("[::]:7117", "can be reached from outside"),
        ("192.0.2.1:7117", "can be reached from outside"),
        ("[::ffff:127.0.0.1]:7117", "can be reached from outside"),
        ("[fe80::1]:7117", "can be reached from outside"),
        ("localhost:7117", "expected an IP number"),
        ("127.0.0.1", "expected a port"),
        ("127.0.0.1:0", "expected a port"),
        ("tcp:127.0.0.1:7117", "expected an IP number"),
        (":7117", "expected a port"),
        ("::1:7117:x", "expected a port"),
    ],
)
def test_any_other_address_is_refused_with_the_reason(address: str, said: str) -> None:
    assert said in loopback_fault(address)
