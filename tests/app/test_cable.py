"""The cable: noise, pieces, echoes, hang-ups and deaf ends cost nobody a request."""

import json
import os
import termios
import threading
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import structlog
from cable_end import CableEnd
from hypothesis import given, settings
from hypothesis import strategies as st

from vafa.app.cable import Cable, Told, check_of, request_in
from vafa.app.desk import refusal
from vafa.model.errors import PortError
from vafa.ports import link as link_module
from vafa.ports.clock import ManualClock, SystemClock
from vafa.ports.line_server import Limits
from vafa.ports.link import Link, open_link

LIMITS = Limits(line_bytes=400)
HANG_UP = None
REQUESTS = [
    {"op": "hello", "client": "till 3", "id": 1},
    {"op": "payment", "terminal": "40217736", "ref": "p-1", "amount": 1_250, "card": {"mask": "6219{{{"}},
    {"id": "}{", "op": "ping"},
]
NOISE = st.binary(max_size=30) | st.sampled_from(
    [b"{", b'{"op":"hel', b'"}', b"\r\n", b"\\", b'{"a":', b"{}{"]
)


class Scripted:
    """A link that reads what it is told to, piece by piece; HANG_UP is a pulled cable."""

    name = "scripted"

    def __init__(self, reads: deque[bytes | None], written: list[bytes]) -> None:
        self._reads, self.written = reads, written

    def read(self, wait_s: float) -> bytes:
        data = self._reads.popleft() if self._reads else b""
        if data is HANG_UP:
            raise PortError("the far end hung up")
        return data

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def interrupt(self) -> None:
        """Nobody sleeps here."""

    def close(self) -> None:
        """Nothing to give back."""


class Bench:
    """A cable stepped here; `heard` is what reached the desk."""

    def __init__(self) -> None:
        self.reads: deque[bytes | None] = deque()
        self.written: list[bytes] = []
        self.heard: list[bytes] = []
        self.clock = ManualClock()
        self.cable = Cable("ttyX", self._open, self._handle, refusal, self.clock, LIMITS)

    def _open(self) -> Link:
        return Scripted(self.reads, self.written)

    def _handle(self, line: bytes) -> bytes:
        self.heard.append(line)
        return b'{"answer":"pong"}'

    def run(self, *reads: bytes | None) -> None:
        self.reads.extend(reads)
        while self.reads:
            self.cable.step()
            self.clock.advance(1.0)

    def answers(self) -> list[bytes]:
        return [line for line in b"".join(self.written).split(b"\n") if line]


def encoded(request: object) -> bytes:
    return json.dumps(request).encode()


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(at)]


@given(
    st.lists(st.tuples(NOISE, st.sampled_from(REQUESTS)), min_size=1, max_size=6),
    st.lists(st.integers(0, 5_000), max_size=40),
)
def test_a_request_behind_any_noise_is_heard_in_any_pieces(
    talk: list[tuple[bytes, dict[str, object]]], cuts: list[int]
) -> None:
    bench = Bench()
    with structlog.testing.capture_logs():
        bench.run(*in_pieces(b"".join(noise + encoded(said) + b"\n" for noise, said in talk), cuts))
    heard = [json.loads(line) for line in bench.heard]
    assert [line for line in heard if line in REQUESTS] == [said for _, said in talk]


@given(st.lists(st.binary(max_size=50).filter(lambda noise: b"{" not in noise), max_size=20))
def test_noise_alone_is_never_answered(noise: list[bytes]) -> None:
    bench = Bench()
    with structlog.testing.capture_logs():
        bench.run(*(piece[:300] for piece in noise), b"\n")
    assert (bench.heard, bench.answers()) == ([], [])


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.integers(1, 200)), max_size=6))
def test_a_line_that_a_pulled_cable_cut_off_is_forgotten_and_its_repetition_heard(
    talk: list[tuple[dict[str, object], int]],
) -> None:
    bench, expected = Bench(), []
    with structlog.testing.capture_logs():
        for said, kept in talk:
            line = encoded(said)
            bench.run(line[: kept % len(line)], HANG_UP, line + b"\n")
            expected.append(said)
    assert [json.loads(line) for line in bench.heard] == expected


@pytest.mark.parametrize("said", REQUESTS)
def test_a_half_line_without_a_hang_up_is_forgotten_too(said: dict[str, object]) -> None:
    line = encoded(said)
    for kept in range(1, len(line)):
        bench = Bench()
        bench.run(line[:kept], line + b"\n")
        assert bench.heard == [line]


@pytest.mark.parametrize("said", [*REQUESTS, {"op": "member", "member": "0912", "name": '{"op":"ping"}'}])
def test_a_whole_request_is_never_taken_apart(said: dict[str, object]) -> None:
    assert request_in(encoded(said)) == Told(encoded(said))
    assert request_in(encoded(said)[1:]) is None


def with_check(line: bytes) -> bytes:
    return line + b"\t" + check_of(line)


def test_the_check_is_the_crc_32_everybody_has() -> None:
    assert check_of(b"123456789") == b"cbf43926"


@given(st.sampled_from(REQUESTS), NOISE)
def test_a_request_with_its_check_is_heard_behind_noise_and_its_answer_has_one(
    said: dict[str, object], noise: bytes
) -> None:
    bench = Bench()
    with structlog.testing.capture_logs():
        bench.run(noise + with_check(encoded(said)) + b"\r\n")
    assert encoded(said) in bench.heard
    assert bench.answers()[-1] == with_check(b'{"answer":"pong"}')


@given(st.sampled_from(REQUESTS), st.integers(0), st.integers(1, 255))
def test_a_request_that_noise_has_changed_is_not_heard(
    said: dict[str, object], at: int, flipped: int
) -> None:
    line = bytearray(with_check(encoded(said)))
    line[at % len(line)] ^= flipped
    told = request_in(bytes(line))
    assert told is None or told.request == encoded(said)  # a check's letter may be large or small


def test_a_far_end_that_echoes_starts_no_endless_talk() -> None:
    bench = Bench()
    bench.run(encoded(REQUESTS[0]) + b"\n")
    for _ in range(5):
        echo = b"".join(bench.written)
        bench.written.clear()
        bench.run(echo, b"\xff" + echo)
    assert len(bench.heard) == 1
    assert bench.written == []


def test_a_line_that_is_too_long_is_refused_once_and_the_next_is_heard() -> None:
    bench = Bench()
    with structlog.testing.capture_logs() as logged:
        bench.run(*[b"x" * 100] * 30, b"\n" + encoded(REQUESTS[0]) + b"\n")
    assert [json.loads(answer).get("code") for answer in bench.answers()] == ["ASK-006", None]
    assert bench.heard == [encoded(REQUESTS[0])]
    assert [entry["event"] for entry in logged] == ["line open", "noise on the line"]


def test_empty_lines_mean_nothing() -> None:
    bench = Bench()
    bench.run(b"\n\r\n \n\n")
    assert (bench.heard, bench.answers(), bench.cable.state().noise) == ([], [], 0)


def test_a_flood_of_requests_waits_for_its_allowance() -> None:
    bench = Bench()
    waited: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        waited.append(timeout)
        return False

    bench.cable._stopping.wait = wait  # type: ignore[method-assign]
    bench.run(b'{"op":"ping"}\n' * (LIMITS.burst_requests + 50))
    assert waited[: LIMITS.burst_requests] == [0.0] * LIMITS.burst_requests
    assert waited[-1] == pytest.approx(50 / LIMITS.requests_per_s)


def test_a_crash_of_the_desk_costs_one_answer() -> None:
    bench = Bench()

    def crash(line: bytes) -> bytes:
        raise ValueError("a bug")

    bench.cable._handle = crash
    with structlog.testing.capture_logs():
        bench.run(b'{"op":"ping"}\n')
    assert [json.loads(answer)["code"] for answer in bench.answers()] == ["VAFA-000"]


class Plugged:
    """A cable in its own thread on a real pty."""

    def __init__(self, directory: Path) -> None:
        self.end = CableEnd(directory / "ttyX")
        self.end.plug()
        self.cable = Cable(
            "ttyX",
            lambda: open_link(str(self.end.path), 9_600),
            lambda line: b'{"answer":"pong","heard":%d}' % len(line),
            refusal,
            SystemClock(),
        )
        self._thread = threading.Thread(target=self.cable.run)
        self._thread.start()
        self.end.wait_until_opened()

    def close(self) -> None:
        self.cable.stop()
        self._thread.join()
        self.end.pull()


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Plugged]:
    plugged = Plugged(tmp_path)
    yield plugged
    plugged.close()


def test_every_byte_comes_through_as_it_was_sent(plugged: Plugged) -> None:
    every = bytes(byte for byte in range(256) if byte != ord("\n"))
    plugged.end.send(every + b'{"op":"ping"}\n', chunk=1)
    assert plugged.end.line() == b'{"answer":"pong","heard":13}'
    flags = plugged.end.settings()[0]
    assert isinstance(flags, int)
    assert not flags & (termios.IXON | termios.IXOFF)  # XON and XOFF are bytes like others


@settings(max_examples=30, deadline=None)
@given(
    noise=NOISE.filter(lambda some: b"{" not in some),
    chunk=st.sampled_from([1, 1, 2, 7, 4096]),
    pulled_at=st.none() | st.integers(0, 60),
)
def test_on_a_real_line_noise_bytes_one_by_one_and_hang_ups_lose_no_request(
    plugged_for_good: Plugged, noise: bytes, chunk: int, pulled_at: int | None
) -> None:
    line = noise + encoded(REQUESTS[1]) + b"\n"
    if pulled_at is not None:
        plugged_for_good.end.send(line[:pulled_at], chunk)
        plugged_for_good.end.pull()
        plugged_for_good.end.plug()
    answer = None
    while answer is None:  # the sender repeats until it is answered
        plugged_for_good.end.send(line, chunk)
        answer = plugged_for_good.end.line(within_s=0.3)
    assert answer == b'{"answer":"pong","heard":%d}' % len(encoded(REQUESTS[1]))
    while plugged_for_good.end.line(within_s=0.0) is not None:
        continue  # answers to repetitions


@pytest.fixture(scope="module")
def plugged_for_good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugged]:
    plugged = Plugged(tmp_path_factory.mktemp("cable"))
    yield plugged
    plugged.close()


def test_an_end_that_reads_nothing_is_not_waited_for_longer_than_the_limit(
    plugged: Plugged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "WRITE_LIMIT_S", 0.05)
    lost = threading.Event()
    monkeypatch.setattr(plugged.cable._line, "lost", _told(plugged.cable._line.lost, lost))
    plugged.cable._allowance._left = 1e9
    plugged.cable._handle = lambda line: b'{"answer":"' + b"x" * 60_000 + b'"}'
    with structlog.testing.capture_logs() as logged:
        for _ in range(10):
            plugged.end.send(b'{"op":"ping"}\n')
        assert lost.wait(20.0)
    assert any("takes no bytes" in entry.get("error", "") for entry in logged)
    plugged.cable._handle = lambda line: b'{"answer":"here again"}'
    answer: bytes | None = b""
    while answer != b'{"answer":"here again"}':  # what was half said comes before it
        plugged.end.send(b'{"op":"ping"}\n')
        answer = plugged.end.line(within_s=0.5)


def _told(lose: object, lost: threading.Event) -> object:
    def telling(error: PortError) -> None:
        lose(error)  # type: ignore[operator]
        lost.set()

    return telling


def test_a_cable_that_is_out_says_so_and_what_to_do(tmp_path: Path) -> None:
    cable = Cable(
        "ttyX", lambda: open_link(str(tmp_path / "no"), 9_600), lambda line: line, refusal, ManualClock()
    )
    cable._stopping.wait = lambda timeout=None: False  # type: ignore[method-assign]
    with structlog.testing.capture_logs():
        cable.step()
    state = cable.state()
    assert (state.state, state.code) == ("closed", "SER-002")
    assert "is not there" in state.trouble
    assert os.fspath(tmp_path) in state.trouble


def test_an_object_whose_text_is_no_utf_8_is_noise_like_any_other() -> None:
    assert request_in(b'{"op": "ping", "id": "\xd9\x81"}') is not None
    assert request_in(b'{"op": "ping", "id": "\xd9"}') is None
