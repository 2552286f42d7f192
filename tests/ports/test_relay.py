"""The relay forwards every byte unchanged, whoever listens, and tells what crossed."""

import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from relayed import (
    TID,
    Far,
    FeedReader,
    PtyPort,
    RelayThread,
    connected,
    far_socket,
    free_port,
    relay_over_serial,
    relay_over_tcp,
    until,
)

from vafa.model.errors import PortError
from vafa.ports import relay_wire as wire
from vafa.ports.relay import RelayedLine
from vafa.ports.relay_loop import Loop
from vafa.ports.relay_tcp import TcpLine

# Chunks of both directions, in the order they are said: (by the register?, bytes)
TALK = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=700)), min_size=1, max_size=25)


# More than one read takes in one piece, either way at once: what chance draws is mostly short.
LONG = [(True, bytes(range(256)) * 24), (False, bytes(reversed(range(256))) * 24), (True, b"end")]


def said(talk: list[tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    return b"".join(d for by, d in talk if by), b"".join(d for by, d in talk if not by)


def hold_talk(register: Far, terminal: Far, talk: list[tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    """Says all of it; what each far end heard, in (terminal, register) order."""
    for by_register, data in talk:
        (register if by_register else terminal).say(data)
    to_terminal, to_register = said(talk)
    return terminal.hear(len(to_terminal)), register.hear(len(to_register))


@pytest.fixture(scope="module")
def serial_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayThread, Far, Far]]:
    with relay_over_serial(tmp_path_factory.mktemp("serial")) as (relay, register, terminal):
        yield relay, register.far, terminal.far


@pytest.fixture(scope="module")
def tcp_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayThread, Far, Far]]:
    with (
        relay_over_tcp(tmp_path_factory.mktemp("tcp")) as (relay, port, terminal),
        connected(port, terminal) as (register_far, terminal_far),
    ):
        yield relay, register_far, terminal_far


@given(talk=TALK)
@example(talk=LONG)
def test_every_fragmentation_crosses_a_serial_line_unchanged(
    serial_line: tuple[RelayThread, Far, Far], talk: list[tuple[bool, bytes]]
) -> None:
    _, register, terminal = serial_line
    assert hold_talk(register, terminal, talk) == said(talk)


@given(talk=TALK)
@example(talk=LONG)
def test_every_fragmentation_crosses_a_tcp_line_unchanged(
    tcp_line: tuple[RelayThread, Far, Far], talk: list[tuple[bool, bytes]]
) -> None:
    _, register, terminal = tcp_line
    assert hold_talk(register, terminal, talk) == said(talk)


@given(talk=TALK)
@example(talk=LONG)
def test_a_reader_gets_what_crossed_and_the_ring_empties(
    tcp_line: tuple[RelayThread, Far, Far], talk: list[tuple[bool, bytes]]
) -> None:
    relay, register, terminal = tcp_line
    reader = FeedReader(relay.socket_path)
    start = reader.hello().acked
    while start < relay.ring.newest:  # what other tests left
        start = reader.next().number
    hold_talk(register, terminal, talk)
    heard = {wire.TO_TERMINAL: b"", wire.TO_REGISTER: b""}
    wanted = dict(zip(heard, said(talk), strict=True))
    number = start
    while {kind: len(data) for kind, data in heard.items()} != {k: len(d) for k, d in wanted.items()}:
        message = reader.next()
        assert message.number == number + 1
        number = message.number
        heard[message.kind] += message.payload
    assert heard == wanted
    reader.tell(wire.ACK, number)
    until(lambda: not relay.ring.unread, "the acknowledgement does not arrive")
    assert relay.ring.size == 0
    reader.close()


def test_a_reader_that_hangs_delays_nothing_and_a_full_ring_jumps(tmp_path: Path) -> None:
    with (
        relay_over_tcp(tmp_path) as (relay, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        hung = FeedReader(relay.socket_path)
        hung.hello()
        block = bytes(range(256)) * 64
        for _ in range(80):  # 1.3 MB: far more than ring and socket buffers
            far_terminal.say(block)
            assert register.hear(len(block)) == block
        assert relay.ring.size <= 256 * 1024
        message, numbers = hung.next(), []
        while message.number < relay.ring.newest:
            numbers.append(message.number)
            message = hung.next()
        assert numbers != list(range(1, len(numbers) + 1))
        hung.close()


def test_what_crossed_while_nobody_read_is_read_later_and_again_until_acknowledged(tmp_path: Path) -> None:
    with (
        relay_over_tcp(tmp_path) as (relay, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        for byte in b"an approval, byte by byte":
            far_terminal.say(bytes([byte]))
        register.hear(25)
        for _ in range(2):
            reader = FeedReader(relay.socket_path)
            assert reader.hello().acked == 0
            heard, number = reader.copies(wire.TO_REGISTER, 25)
            assert heard == b"an approval, byte by byte"
            reader.close()
        reader = FeedReader(relay.socket_path)
        reader.hello()
        reader.copies(wire.TO_REGISTER, 25)
        reader.tell(wire.ACK, number)
        until(lambda: not relay.ring.unread, "not acknowledged")
        reader.close()


def test_a_new_reader_takes_the_place_of_a_hung_one(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        first = FeedReader(relay.socket_path)
        first.hello()
        second = FeedReader(relay.socket_path)
        second.hello()
        with pytest.raises(AssertionError, match="hung up"):
            first.next()
        first.close()
        second.close()


def test_a_reader_of_another_terminal_is_refused_with_the_reason(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        reader = FeedReader(relay.socket_path, "1")
        message = reader.next()
        assert message.kind == wire.REFUSED
        assert b"no line of terminal 1" in message.payload
        reader.close()


def test_garbage_on_the_relay_s_socket_harms_nothing(tmp_path: Path) -> None:
    with (
        relay_over_tcp(tmp_path) as (relay, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(relay.socket_path))
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.settimeout(20)
            assert stranger.recv(10) == b""
        register.say(b"still")
        assert far_terminal.hear(5) == b"still"


def test_only_the_owner_reads_the_copies_and_a_second_relay_is_refused(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        assert stat.S_IMODE(relay.socket_path.stat().st_mode) == 0o600
        with pytest.raises(PortError, match="another relay"):
            RelayThread(tmp_path, RelayedLine(TID, "tcp:127.0.0.1:1", "tcp:127.0.0.1:1", 9600))
    assert not relay.socket_path.exists()


# TCP: what connections do


def test_a_register_may_connect_for_each_payment(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (_, port, terminal):
        for word in (b"one", b"two", b"three"):
            with connected(port, terminal) as (register, far_terminal):
                register.say(word)
                assert far_terminal.hear(len(word)) == word
                register.close()
                assert far_terminal.hear_end() == b""


def test_what_a_half_closed_register_is_owed_still_arrives(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (_, port, terminal):
        register = socket.create_connection(("127.0.0.1", port))
        accepted, _ = terminal.accept()
        with register, accepted:
            register.sendall(b"pay")
            register.shutdown(socket.SHUT_WR)
            assert far_socket(accepted).hear_end() == b"pay"
            accepted.sendall(b"approved")
            accepted.close()
            assert far_socket(register).hear_end() == b"approved"


def test_the_next_register_waits_for_a_whole_pair_and_ends_a_half_one(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (_, port, terminal):
        first = socket.create_connection(("127.0.0.1", port))
        accepted, _ = terminal.accept()
        second = socket.create_connection(("127.0.0.1", port))
        with first, accepted, second:
            second.sendall(b"me next")
            far_socket(first).say(b"busy")
            assert far_socket(accepted).hear(4) == b"busy"
            terminal.settimeout(0.05)
            with pytest.raises(TimeoutError):
                terminal.accept()
            terminal.settimeout(20)
            first.shutdown(socket.SHUT_WR)  # it crashed in a way that says good-bye in one direction only
            again, _ = terminal.accept()
            with again:
                assert far_socket(again).hear(7) == b"me next"


def test_a_terminal_that_refuses_refuses_the_register_and_is_told(tmp_path: Path) -> None:
    port = free_port()
    line = RelayedLine(TID, f"tcp:127.0.0.1:{port}", f"tcp:127.0.0.1:{free_port()}", 9600)
    relay = RelayThread(tmp_path, line)
    try:
        until(lambda: relay.relay._served[0].line.state()[0] == "open", "does not listen")
        with socket.create_connection(("127.0.0.1", port)) as register:
            assert far_socket(register).hear_end() == b"(reset)"
        until(lambda: "refused" in relay.relay._served[0].line.state()[1], "not told")
        assert not relay.ring.unread  # nothing crossed
    finally:
        relay.stop()


def test_a_terminal_that_resets_ends_the_register_s_connection_after_its_last_byte(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (_, port, terminal):
        register = socket.create_connection(("127.0.0.1", port))
        accepted, _ = terminal.accept()
        far = far_socket(register)
        with register:
            accepted.sendall(b"appro")
            assert far.hear(5) == b"appro"
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            assert far.hear_end() in (b"", b"(reset)")
        with connected(port, terminal) as (again, far_terminal):
            again.say(b"back")
            assert far_terminal.hear(4) == b"back"


def test_a_register_that_does_not_read_slows_the_terminal_and_loses_nothing(tmp_path: Path) -> None:
    with (
        relay_over_tcp(tmp_path) as (_, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        block = os.urandom(8 * 1024 * 1024)
        speaker = threading.Thread(target=far_terminal.say, args=(block,))
        speaker.start()
        register.say(b"and the other direction is free")
        assert far_terminal.hear(31) == b"and the other direction is free"
        assert register.hear(len(block)) == block
        speaker.join()


def test_a_register_that_comes_after_hours_of_silence_is_not_late() -> None:
    """Nothing ticks while nothing happens: the time a connection may take counts from its beginning."""
    now, port, loop = [1_000.0], free_port(), Loop()
    with socket.create_server(("127.0.0.1", 0)) as terminal:
        terminal.settimeout(20)
        address = f"127.0.0.1:{terminal.getsockname()[1]}"
        line = TcpLine(f"127.0.0.1:{port}", address, loop, lambda *_: None, lambda: None, lambda: now[0])
        line.tick(now[0])
        now[0] += 36_000
        with socket.create_connection(("127.0.0.1", port)) as register:
            for _ in range(3):
                loop.turn(0.05)
                line.tick(now[0])
            register.sendall(b"sale")
            accepted, _ = terminal.accept()
            loop.turn(20)
            with accepted:
                assert far_socket(accepted).hear(4) == b"sale"
        line.close()
    loop.close()


# A serial line: slow takers, ports that come and go


def test_a_port_that_is_read_slowly_loses_nothing(tmp_path: Path) -> None:
    """A pty takes some kilobytes at once and then parts of what is written: so each write is a part."""
    with relay_over_serial(tmp_path) as (_, register, terminal):
        block = os.urandom(300_000)
        speaker = threading.Thread(target=terminal.far.say, args=(block,))
        speaker.start()
        heard = b"".join(register.far.hear(1_000) for _ in range(300))
        speaker.join()
        assert heard == block


def test_a_port_that_is_plugged_out_and_in_again_is_found_and_the_other_s_words_are_copied(
    tmp_path: Path,
) -> None:
    name = tmp_path / "by-id"
    with relay_over_serial(tmp_path, name) as (relay, register, terminal):
        line = relay.relay._served[0].line
        reader = FeedReader(relay.socket_path)
        reader.hello()
        register.close()
        assert reader.next().kind == wire.CUT
        until(lambda: line.state()[0] == "closed", "the lost port is not noticed")
        terminal.far.say(b"approved all the same")
        assert reader.copies(wire.TO_REGISTER, 21)[0] == b"approved all the same"
        reader.close()
        again = PtyPort()  # under another name, found by its id
        name.unlink()
        name.symlink_to(again.path)
        until(lambda: line.state() == ("open", ""), "the new port is not found")
        again.far.say(b"back")
        assert terminal.far.hear(4) == b"back"
        terminal.far.say(b"welcome")
        assert again.far.hear(7) == b"welcome"
    again.close()


# What outlives a relay


def test_a_relay_that_ended_with_all_read_leaves_no_gap(tmp_path: Path) -> None:
    with relay_over_tcp(tmp_path) as (relay, port, terminal):
        reader = FeedReader(relay.socket_path)
        first = reader.hello()
        assert first.missing == ""  # the very first start
        with connected(port, terminal) as (register, far_terminal):
            register.say(b"x")
            far_terminal.hear(1)
            number = reader.copies(wire.TO_TERMINAL, 1)[1]
        assert reader.next().kind == wire.CUT
        reader.tell(wire.ACK, number + 1)
        until(lambda: not relay.ring.unread, "not acknowledged")
        reader.close()
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        reader = FeedReader(relay.socket_path)
        second = reader.hello()
        assert (second.acked, second.missing) == (0, "")
        assert second.instance != first.instance
        reader.close()


@pytest.mark.parametrize("how", ["orderly", "killed", "power cut"])
def test_a_relay_that_ended_with_copies_unread_says_so_until_it_is_noted(tmp_path: Path, how: str) -> None:
    with (
        relay_over_tcp(tmp_path) as (relay, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        register.say(b"x")
        far_terminal.hear(1)
        marks = [tmp_path / place / f"{TID}.unread" for place in ("run", "state")]
        if how == "killed":  # what is on the disk at that moment is what is left
            until(lambda: marks[0].read_bytes() == b"1", "not marked at once")
            marks[1].unlink()
        elif how == "power cut":
            until(lambda: marks[1].read_bytes() == b"1", "not marked durably")
            marks[0].unlink()
        left = {mark: mark.read_bytes() for mark in marks if mark.exists()}
    for mark in marks:
        if how != "orderly":
            mark.unlink(missing_ok=True)
    if how != "orderly":
        for mark, data in left.items():
            mark.write_bytes(data)
    for _ in range(2):  # told again until somebody noted it
        with relay_over_tcp(tmp_path) as (relay, _, _terminal):
            reader = FeedReader(relay.socket_path)
            assert "unread" in reader.hello().missing
            reader.close()
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        reader = FeedReader(relay.socket_path)
        reader.hello()
        reader.tell(wire.NOTED)
        until(lambda: not relay.relay._served[0].source.missing, "not noted")
        reader.close()
    with relay_over_tcp(tmp_path) as (relay, _, _terminal):
        reader = FeedReader(relay.socket_path)
        assert reader.hello().missing == ""
        reader.close()


def test_no_byte_of_the_line_is_written_to_any_file(tmp_path: Path) -> None:
    with (
        relay_over_tcp(tmp_path) as (_, port, terminal),
        connected(port, terminal) as (register, far_terminal),
    ):
        far_terminal.say(b"6219861034529007" * 1000)
        register.hear(16_000)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    assert {path.stat().st_size for path in left} == {1}
