"""Bytes between two ends, and to a reader, where a write takes only a part: one thread, small buffers."""

import os
import socket
from collections.abc import Iterator

import pytest

from vafa.ports import relay_wire as wire
from vafa.ports.relay_loop import Loop
from vafa.ports.relay_pair import READ_BYTES_MAX, WAITING_BYTES_MAX, End, Pair
from vafa.ports.relay_readers import Reader, Source

SMALL_BUFFER_BYTES = 2048  # the kernel doubles it; far below one read


def small_line() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER_BYTES)
    for end in (ours, theirs):
        end.settimeout(0)
    return ours, theirs


@pytest.fixture
def loop() -> Iterator[Loop]:
    it = Loop()
    yield it
    it.close()


def taken(line: socket.socket) -> bytes:
    try:
        return line.recv(700)
    except BlockingIOError:
        return b""


def test_an_end_that_takes_parts_gets_all_and_what_waits_is_bounded(loop: Loop) -> None:
    register, register_far = socket.socketpair()
    terminal, terminal_far = small_line()
    for end in (register, register_far):
        end.settimeout(0)
    copied = bytearray()
    ended: list[End] = []
    pair = Pair(loop, lambda _, data: copied.extend(data), ended.append, lambda end, _why: ended.append(end))
    ends = End(register.fileno(), wire.TO_TERMINAL), End(terminal.fileno(), wire.TO_REGISTER)
    for each in ends:
        pair.add(each)
    block, at, heard = os.urandom(600_000), 0, b""
    for _ in range(300):  # nobody takes anything yet
        try:
            at += register_far.send(block[at : at + 10_000])
        except BlockingIOError:
            break
        loop.turn(0.0)
        assert len(ends[1].waiting) <= WAITING_BYTES_MAX + READ_BYTES_MAX
    assert at < len(block)  # as on a direct line, the speaker is slowed
    for _ in range(20_000):
        try:
            at += register_far.send(block[at : at + 10_000])
        except BlockingIOError:
            heard += taken(terminal_far)
        loop.turn(0.0)
        heard += taken(terminal_far)
        if len(heard) == len(block):
            break
    assert heard == block == bytes(copied)
    assert not ended
    for line in (register, register_far, terminal, terminal_far):
        line.close()


def test_a_reader_that_takes_parts_gets_whole_messages(loop: Loop) -> None:
    ours, theirs = small_line()
    source = Source(lambda: ("open", ""), "")
    block = os.urandom(100_000)
    reader = Reader(ours, loop, {"1": source}, "instance")
    theirs.send(wire.encode(wire.HELLO, 0, b"1"))
    for at in range(0, len(block), 3000):
        source.ring.add(wire.TO_REGISTER, block[at : at + 3000])
        reader.push()
        loop.turn(0.0)
    splitter, heard, tries = wire.Splitter(), b"", 0
    while len(heard) < len(block):
        loop.turn(0.0)
        for message in splitter.feed(taken(theirs)):
            if message.kind == wire.TO_REGISTER:
                heard += message.payload
        tries += 1
        assert tries < 10_000, "bytes are missing"
    assert heard == block
    reader.close()
    theirs.close()
