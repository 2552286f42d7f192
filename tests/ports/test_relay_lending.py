"""The line lent to the daemon: its question, its answer; the register waits, bounded, and loses nothing."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relayed import (
    Far,
    FeedReader,
    RelayThread,
    connected,
    far_socket,
    relay_over_serial,
    relay_over_tcp,
    until,
)

from vafa.codecs.sadad_frames import ACK, INM, Frame, FrameType, encode
from vafa.codecs.sadad_journal import JournalRequest, journal_request_frame
from vafa.ports import relay_wire as wire
from vafa.ports.relay_lending import BORROWED_S_MAX, HELD_BYTES_MAX, HELD_S_MAX, QUIET_S, STRAYS_S, Lending
from vafa.ports.relay_loop import Loop
from vafa.ports.relay_pair import Pair
from vafa.ports.relay_wire import Over
from vafa.simulators import sadad_bytes

LISTS_ACK = encode(Frame("002", FrameType.ACK))
QUESTION = encode(journal_request_frame(JournalRequest(with_order_ids=True)))
LIST = sadad_bytes.rows_response("0014", [])
APPROVAL = LIST.replace(b"002\x1a", b"000\x1a")


class Borrowed:
    """A relay with both ends in hand, and the daemon's side of its socket. Its lending's clock is ours."""

    def __init__(self, relay: RelayThread, register: Far, terminal: Far) -> None:
        self.relay, self.register, self.terminal = relay, register, terminal
        self._ahead_s = -1e6  # far before any byte that crosses while the tests run
        self._frozen: float | None = None
        self.lending: Lending = relay.relay._served[0].lending
        self.lending._clock = self.now
        self.tick = self.lending.tick
        self.lending.tick = lambda now: self.tick(self.now())  # type: ignore[method-assign]
        self.lending.due_in_s = lambda now: 0.002  # type: ignore[method-assign]
        self.daemon = FeedReader(relay.socket_path)
        self.number = self.daemon.hello().acked
        self.quiet()

    def quiet(self) -> None:
        """Long enough for a line to be lent."""
        self.lending.crossed_at = self.now() - QUIET_S

    def now(self) -> float:
        return self._frozen if self._frozen is not None else time.monotonic() + self._ahead_s

    def freeze(self) -> None:
        """No time passes any more."""
        self._frozen = self.now()

    def pass_by(self, seconds: float) -> None:
        self._ahead_s += seconds

    def borrow(self) -> wire.Message:
        self.daemon.tell(wire.BORROW, self.relay.ring.newest)
        return self.next()

    def next(self) -> wire.Message:
        """The next message that is no copy."""
        while (message := self.daemon.next()).kind in (wire.TO_TERMINAL, wire.TO_REGISTER, wire.CUT):
            self.number = message.number
        return message

    def ask(self, frame: bytes) -> None:
        self.daemon.say(wire.ASK, frame)
        assert self.terminal.hear(len(frame)) == frame

    def answer(self, data: bytes) -> None:
        """The terminal says what is the daemon's."""
        self.terminal.say(data)
        heard = b""
        while len(heard) < len(data):
            message = self.next()
            assert message.kind == wire.ANSWER
            heard += message.payload
        assert heard == data

    def talk(self, talk: list[tuple[bool, bytes]]) -> None:
        """Both sides say their words, and hear the other's."""
        for by_register, data in talk:
            (self.register if by_register else self.terminal).say(data)
        for heard_by, by_register in ((self.terminal, True), (self.register, False)):
            said = b"".join(data for by, data in talk if by is by_register)
            assert heard_by.hear(len(said)) == said

    def over(self) -> Over:
        message = self.next()
        assert message.kind == wire.OVER
        return Over(message.number)

    def is_free(self) -> bool:
        return self.lending._state == "free"


@pytest.fixture(params=["tcp", "serial"])
def borrowed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Borrowed]:
    if request.param == "serial":
        with relay_over_serial(tmp_path) as (relay, register, terminal):
            it = Borrowed(relay, register.far, terminal.far)
            yield it
            it.daemon.close()
        return
    with (
        relay_over_tcp(tmp_path) as (relay, port, listener),
        connected(port, listener) as (register_far, terminal_far),
    ):
        register_far.say(b"hello")
        terminal_far.hear(5)
        it = Borrowed(relay, register_far, terminal_far)
        yield it
        it.daemon.close()


def test_the_daemon_asks_and_hears_and_nothing_of_it_reaches_the_cash_register_or_the_copies(
    borrowed: Borrowed,
) -> None:
    before = borrowed.relay.ring.newest
    assert borrowed.borrow().kind == wire.LENT
    borrowed.ask(encode(INM))
    borrowed.answer(encode(ACK))
    borrowed.ask(QUESTION)
    borrowed.answer(LISTS_ACK + LIST)
    borrowed.ask(LISTS_ACK)
    borrowed.daemon.tell(wire.GIVE_BACK)
    until(borrowed.is_free, "not given back")
    assert borrowed.relay.ring.newest == before
    borrowed.register.say(encode(INM))
    assert borrowed.terminal.hear(10) == encode(INM)
    borrowed.terminal.say(encode(ACK))
    assert borrowed.register.hear(10) == encode(ACK)


def test_a_line_on_which_more_crossed_or_that_is_not_quiet_is_not_lent(borrowed: Borrowed) -> None:
    borrowed.register.say(b"x")
    borrowed.terminal.hear(1)
    assert borrowed.borrow().number == Over.IN_USE  # too soon
    borrowed.quiet()
    borrowed.daemon.tell(wire.BORROW, borrowed.relay.ring.newest - 1)
    assert b"meanwhile" in borrowed.next().payload
    assert borrowed.borrow().kind == wire.LENT
    assert borrowed.borrow().number == Over.IN_USE  # one at a time


def test_a_cash_register_has_the_line_at_once_when_the_terminal_owes_nothing(borrowed: Borrowed) -> None:
    borrowed.borrow()
    borrowed.register.say(encode(INM))
    assert borrowed.terminal.hear(10) == encode(INM)
    assert borrowed.over() is Over.CUT_OFF
    borrowed.daemon.say(wire.ASK, encode(INM))  # the daemon did not know yet: it goes nowhere
    borrowed.terminal.say(encode(ACK))
    assert borrowed.register.hear(10) == encode(ACK)
    borrowed.register.say(b"and on")
    assert borrowed.terminal.hear(6) == b"and on"


def test_a_cash_register_waits_until_the_terminal_has_answered_and_no_longer(borrowed: Borrowed) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    borrowed.register.say(encode(INM))
    until(lambda: bool(borrowed.lending._held), "not read")
    borrowed.pass_by(HELD_S_MAX / 2)
    borrowed.answer(encode(ACK))
    assert borrowed.terminal.hear(10) == encode(INM)
    assert borrowed.over() is Over.CUT_OFF


def test_a_cash_register_is_held_no_longer_than_the_bound_and_never_hears_the_late_answer(
    borrowed: Borrowed,
) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    borrowed.answer(encode(ACK))
    borrowed.ask(QUESTION)
    borrowed.answer(LISTS_ACK + LIST[:20])
    borrowed.register.say(encode(INM)[:4])
    borrowed.register.say(encode(INM)[4:])
    until(lambda: len(borrowed.lending._held) == 10, "not read")
    borrowed.pass_by(HELD_S_MAX)
    assert borrowed.terminal.hear(10) == encode(INM)
    assert borrowed.over() is Over.CUT_OFF
    borrowed.terminal.say(LIST[20:] + LIST + encode(ACK) + APPROVAL)
    assert borrowed.register.hear(10 + len(APPROVAL)) == encode(ACK) + APPROVAL
    borrowed.pass_by(STRAYS_S)
    until(lambda: borrowed.lending._line.pair.divert is None, "the sieve stays")
    borrowed.terminal.say(LIST)
    assert borrowed.register.hear(len(LIST)) == LIST


def test_more_than_the_bound_is_not_held(borrowed: Borrowed) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    borrowed.freeze()
    block = os.urandom(3 * HELD_BYTES_MAX)
    speaker = threading.Thread(target=borrowed.register.say, args=(block,))
    speaker.start()
    assert borrowed.terminal.hear(len(block)) == block
    speaker.join()
    assert borrowed.over() is Over.CUT_OFF


@pytest.mark.parametrize("how", ["dies", "hangs", "keeps it", "babbles", "is followed by another"])
def test_a_daemon_that_fails_while_it_borrows_never_holds_the_line(borrowed: Borrowed, how: str) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    if how == "dies":
        borrowed.daemon.close()
    elif how == "keeps it":
        borrowed.pass_by(BORROWED_S_MAX)
    elif how == "babbles":
        borrowed.daemon.say(wire.ASK, b"a sale, perhaps")
    elif how == "is followed by another":
        FeedReader(borrowed.relay.socket_path).close()
    if how != "hangs":
        until(borrowed.is_free, "not taken back")
    borrowed.register.say(b"sale")
    if how == "hangs":
        until(lambda: bool(borrowed.lending._held), "not read")
        borrowed.pass_by(HELD_S_MAX)
    assert borrowed.terminal.hear(4) == b"sale"


def test_a_daemon_that_does_not_read_its_answers_is_cut_off(borrowed: Borrowed) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    noise = bytes(4096)
    for _ in range(400):  # more than the socket's buffer and the bound
        if borrowed.is_free():
            break
        borrowed.terminal.say(noise)
    until(borrowed.is_free, "a hung daemon has the line")


def test_an_approval_that_comes_while_the_line_is_lent_reaches_the_cash_register_and_the_copies(
    borrowed: Borrowed,
) -> None:
    borrowed.borrow()
    borrowed.ask(encode(INM))
    borrowed.terminal.say(APPROVAL)
    assert borrowed.register.hear(len(APPROVAL)) == APPROVAL
    copied, ended = b"", False
    while len(copied) < len(APPROVAL) or not ended:
        message = borrowed.daemon.next()
        ended |= message.kind == wire.OVER
        copied += message.payload if message.kind == wire.TO_REGISTER else b""
    assert copied == APPROVAL


CHUNKS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8)
TALK = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=300)), max_size=8)


@given(
    before=TALK,
    meanwhile=CHUNKS,
    after=TALK,
    asks_for_lists=st.booleans(),
    ends=st.sampled_from(["bound", "answer", "given back", "death"]),
)
def test_every_fragmentation_crosses_unchanged_before_within_and_after_a_borrowing(
    tcp_line: Borrowed,
    before: list[tuple[bool, bytes]],
    meanwhile: list[bytes],
    after: list[tuple[bool, bytes]],
    asks_for_lists: bool,
    ends: str,
) -> None:
    it = tcp_line
    it.talk(before)
    it.quiet()
    assert it.borrow().kind == wire.LENT
    it.ask(encode(INM))
    if asks_for_lists:
        it.answer(encode(ACK))
        it.ask(QUESTION)
    for chunk in meanwhile:
        it.register.say(chunk)
    until(lambda: sum(map(len, meanwhile)) == len(it.lending._held), "not held")
    match ends:
        case "bound":
            it.pass_by(HELD_S_MAX)
        case "answer":
            it.answer(LISTS_ACK + LIST if asks_for_lists else encode(ACK))
            it.pass_by(HELD_S_MAX if asks_for_lists else 0)
        case "given back":
            it.daemon.tell(wire.GIVE_BACK)
        case _:
            it.daemon.close()
    whole = b"".join(meanwhile)
    assert it.terminal.hear(len(whole)) == whole
    if ends in ("bound", "answer"):
        assert it.over() is Over.CUT_OFF
    if ends == "death":
        it.daemon = FeedReader(it.relay.socket_path)
        it.daemon.hello()
    it.talk(after)


@pytest.fixture(scope="module")
def tcp_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Borrowed]:
    with (
        relay_over_tcp(tmp_path_factory.mktemp("lent")) as (relay, port, listener),
        connected(port, listener) as (register, terminal),
    ):
        it = Borrowed(relay, register, terminal)
        yield it
        it.daemon.close()


# TCP, where no cash register is connected: a connection of the relay's own


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Borrowed, int, socket.socket]]:
    with relay_over_tcp(tmp_path) as (relay, port, listener):
        nobody = socket.socket()
        it = Borrowed(relay, far_socket(nobody), far_socket(nobody))
        it.daemon.tell(wire.BORROW, relay.ring.newest)
        accepted, _ = listener.accept()
        it.terminal = far_socket(accepted)
        assert it.next().kind == wire.LENT
        yield it, port, listener
        it.daemon.close()
        accepted.close()
        nobody.close()


def test_without_a_cash_register_the_terminal_is_connected_to_and_left_again(
    alone: tuple[Borrowed, int, socket.socket],
) -> None:
    it, port, listener = alone
    it.ask(encode(INM))
    it.answer(encode(ACK))
    it.daemon.tell(wire.GIVE_BACK)
    assert it.terminal.hear_end() == b""
    assert it.relay.ring.newest == 0
    with connected(port, listener) as (register, terminal):
        register.say(b"sale")
        assert terminal.hear(4) == b"sale"


@pytest.mark.parametrize("answered", [True, False])
def test_a_cash_register_that_connects_meanwhile_gets_a_connection_of_its_own_in_time(
    alone: tuple[Borrowed, int, socket.socket], answered: bool
) -> None:
    it, port, listener = alone
    it.ask(encode(INM))
    with socket.create_connection(("127.0.0.1", port)) as register:
        far_socket(register).say(b"sale")
        until(lambda: it.lending._wanted_at is not None, "not noticed")
        if answered:
            it.answer(encode(ACK))
        else:
            it.pass_by(HELD_S_MAX)
        assert it.terminal.hear_end() == b""
        accepted, _ = listener.accept()
        with accepted:
            far_socket(accepted).say(LIST)  # whatever it says now is the cash register's
            assert far_socket(accepted).hear(4) == b"sale"
            assert far_socket(register).hear(len(LIST)) == LIST
    assert it.over() is Over.CUT_OFF


def test_an_approval_on_the_relay_s_own_connection_is_copied(
    alone: tuple[Borrowed, int, socket.socket],
) -> None:
    it, _, _ = alone
    it.terminal.say(APPROVAL)
    heard = b""
    while len(heard) < len(APPROVAL):
        message = it.daemon.next()
        heard += message.payload if message.kind == wire.TO_REGISTER else b""
    assert heard == APPROVAL


def test_a_terminal_that_hangs_up_or_takes_no_connection_ends_the_borrowing(
    alone: tuple[Borrowed, int, socket.socket],
) -> None:
    it, _, listener = alone
    it.terminal.close()
    assert it.over() is Over.CUT_OFF
    listener.close()
    it.quiet()
    refused = it.borrow()
    assert (refused.kind, refused.number) == (wire.OVER, Over.UNREACHABLE)
    assert b"does not take a connection" in refused.payload
    assert it.relay.relay._served[0].line.state() == ("open", "")


def test_a_serial_line_without_its_terminal_is_not_lent(tmp_path: Path) -> None:
    with relay_over_serial(tmp_path) as (relay, register, terminal):
        it = Borrowed(relay, register.far, terminal.far)
        terminal.close()
        until(lambda: relay.relay._served[0].line.state()[0] == "closed", "not noticed")
        it.quiet()
        for _ in range(2):  # a refusal leaves nothing behind
            refused = it.borrow()
            assert refused.number == Over.IN_USE
            assert b"not open" in refused.payload
        it.daemon.close()


class SlowLine:
    """A line whose terminal is being connected to."""

    def __init__(self) -> None:
        self.pair = Pair(Loop(), lambda *_: None, lambda _: None, lambda *_: None)
        self.taken_back = 0

    def lend(self) -> None:
        return None

    def take_back(self) -> bool:
        self.taken_back += 1
        return True


class Borrower:
    def __init__(self) -> None:
        self.told: list[tuple[bytes, int]] = []
        self.backlog_bytes = 0

    def tell(self, kind: bytes, number: int = 0, payload: bytes = b"") -> None:
        self.told.append((kind, number))


@pytest.mark.parametrize("ends", ["wanted", "gone", "given back", "time", "unreachable"])
def test_a_line_that_is_being_connected_to_is_taken_back_once_whoever_asks_twice(ends: str) -> None:
    line, borrower, now = SlowLine(), Borrower(), [100.0]
    lending = Lending(line, lambda: 0, lambda: now[0])
    now[0] += QUIET_S
    lending.borrow(borrower, 0)
    lending.borrow(borrower, 0)
    assert borrower.told == [(wire.OVER, Over.IN_USE)]
    match ends:
        case "wanted":
            lending.wanted()
        case "gone":
            lending.gone(borrower)
        case "given back":
            lending.give_back(borrower)
        case "time":
            lending.tick(now[0] + BORROWED_S_MAX)
        case _:
            lending.unreachable("nobody there")
    lending.line_ends()
    assert line.taken_back == 1
    assert lending.due_in_s(now[0]) is None
