"""A notification is a bell: it makes the terminal's own list be read, and is worth nothing by itself."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_bench import Bench
from shop import TID

from vafa.app.notified import Notified
from vafa.app.poll import PAUSE_MIN_S
from vafa.ledger import reads
from vafa.model.errors import PortError
from vafa.model.events import Kind
from vafa.ports.datagrams import Datagram, Datagrams, listen
from vafa.simulators.announcer import notification
from vafa.simulators.faults import ALWAYS


@contextmanager
def listening(bells: dict[str, object]) -> Iterator[tuple[Notified, int]]:
    """A Notified on a free port of the loopback, stepped by hand."""
    line = listen(0, host="127.0.0.1")
    notified = Notified(line.ports[0], bells, lambda _port: line)  # type: ignore[arg-type]
    try:
        yield notified, line.ports[0]
    finally:
        notified.stop()
        notified.run()


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for each in datagrams:
            line.sendto(each, ("127.0.0.1", port))


def awards(bench: Bench) -> int:
    return bench.shop.ledger.read(lambda c: sum(1 for _ in reads.entries(c, 0, (Kind.AWARD,))))


def polls_sent(bench: Bench) -> int:
    return sum(data[8:12] in (b"0013", b"0001") for data in bench.written)


def test_each_datagram_is_counted_for_what_it_is() -> None:
    rung: list[str] = []
    with listening({TID: lambda: rung.append(TID)}) as (notified, port):
        send(
            port,
            notification(TID, amount=125_000),
            notification("99999999"),
            b"garbage",
            b"",
            b"\x02" * 3_000,
        )
        for _ in range(5):
            notified.step()
        facts = notified.facts()
    assert rung == [TID]
    assert (facts.heard, facts.strangers, facts.garbage, facts.trouble) == (1, 1, 3, ())


def test_a_port_that_cannot_be_had_is_shown_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vafa.app.notified.REOPEN_S", 0.0)
    line = listen(0, host="127.0.0.1")
    answers: list[Datagrams | PortError] = [PortError("UDP port 101 is for root only", code="UDP-001"), line]

    def open_port(_port: int) -> Datagrams:
        answer = answers.pop(0)
        if isinstance(answer, PortError):
            raise answer
        return answer

    notified = Notified(101, {}, open_port)
    notified.step()
    (trouble,) = notified.facts().trouble
    assert (trouble.level, trouble.code) == ("degraded", "UDP-001")
    line.interrupt()
    notified.step()
    assert notified.facts().trouble == ()
    notified.stop()
    notified.run()


def test_a_keypad_sale_is_found_as_soon_as_the_bell_rings(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        bench.run_for(30)  # the baseline; from now on a poll a minute
        bench.terminal.key_sale(1_250)
        before = bench.now()
        bench.lane.poll_soon()
        bench.run(lambda: awards(bench) == 1)
        assert bench.now() - before <= PAUSE_MIN_S
    finally:
        bench.close()


def test_a_bell_rung_without_a_sale_awards_nothing_and_hurries_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        bench.run_for(30)
        before = polls_sent(bench)
        for _ in range(60):  # a second each, as if somebody never let go of it
            bench.lane.poll_soon()
            bench.run_for(1)
        assert awards(bench) == 0
        assert polls_sent(bench) - before <= 60 / PAUSE_MIN_S + 1
    finally:
        bench.close()


def test_a_terminal_that_refuses_is_left_in_peace_by_any_bell(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        bench.terminal.fault("nack", ALWAYS)
        bench.run_for(400)
        before = polls_sent(bench)
        for _ in range(10):
            bench.lane.poll_soon()
            bench.run_for(10)
        assert polls_sent(bench) - before <= 3  # one question, told thrice: its pause is long by now
    finally:
        bench.close()


class Fed:
    """Datagrams as hypothesis wants them."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self._left = datagrams
        self.ports = (101,)

    def read(self, _wait_s: float) -> list[Datagram]:
        return [Datagram(self._left.pop(0), "192.0.2.9", 101)] if self._left else []

    def interrupt(self) -> None:
        return

    def close(self) -> None:
        return


@given(
    st.lists(st.binary(max_size=400) | st.just(notification(TID)) | st.just(notification("1")), max_size=20)
)
def test_whatever_comes_is_counted_and_nothing_ends_the_thread(datagrams: list[bytes]) -> None:
    fed = Fed(list(datagrams))
    notified = Notified(101, {TID: lambda: None}, lambda _port: fed)  # type: ignore[arg-type,return-value]
    for _ in datagrams:
        notified.step()
    facts = notified.facts()
    assert facts.heard + facts.strangers + facts.garbage == len(datagrams)
    assert facts.heard == datagrams.count(notification(TID))
