"""UDP ports that only listen: what comes, an interrupt, a cut datagram, a port that cannot be had."""

import socket
import threading

import pytest

from vafa.model.errors import PortError
from vafa.ports.datagrams import DATAGRAM_BYTES_MAX, Datagram, listen, listen_where_allowed

LONG_S = 30.0


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for each in datagrams:
            line.sendto(each, ("127.0.0.1", port))


def test_each_datagram_is_told_once_in_order_and_a_long_one_is_cut() -> None:
    line = listen(0, host="127.0.0.1")
    (port,) = line.ports
    send(port, b"one", b"", b"x" * 9_000)
    try:
        heard = [line.read(LONG_S) for _ in range(3)]
    finally:
        line.close()
    assert heard == [
        [Datagram(b"one", "127.0.0.1", port)],
        [Datagram(b"", "127.0.0.1", port)],
        [Datagram(b"x" * DATAGRAM_BYTES_MAX, "127.0.0.1", port)],
    ]


def test_an_interrupt_wakes_a_read() -> None:
    line = listen(0, host="127.0.0.1")
    waking = threading.Timer(0.0, line.interrupt)
    waking.start()
    try:
        assert line.read(LONG_S) == []
    finally:
        waking.join()
        line.close()


def test_a_port_another_program_keeps_to_itself_is_told_and_the_others_are_listened_on() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind(("127.0.0.1", 0))
        taken = selfish.getsockname()[1]
        with pytest.raises(PortError, match=f"UDP port {taken} is taken") as caught:
            listen_where_allowed(taken, host="127.0.0.1")
        assert caught.value.code == "UDP-002"
        line, refused = listen_where_allowed(taken, 0, host="127.0.0.1")
        try:
            assert len(line.ports) == 1
            assert [error.code for error in refused] == ["UDP-002"]
        finally:
            line.close()
