"""The link watch's thread: a kernel that does not tell is a state; who is woken sees by what."""

import threading
from collections.abc import Iterator

import pytest

from vafa.app import link_thread
from vafa.app.link_thread import LinkThread
from vafa.ports.clock import SystemClock
from vafa.sync.link_watch import LinkWatch, LinkWatchError
from vafa.sync.links import Metering
from vafa.sync.network_manager import Told

WITHIN_S = 10.0


class Run:
    """A thread of the watch on this machine's own links; `woken` is set when the courier would be."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.seen = ""
        self.links = LinkThread(Metering(), SystemClock(), self._wake)
        self.thread = threading.Thread(target=self.links.run)

    def _wake(self) -> None:
        carrier = self.links.links().carrier
        self.seen = carrier.name if carrier else ""
        self.woken.set()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(link_thread, "told", Told)
    made = Run()
    yield made
    made.links.stop()
    if made.thread.is_alive():
        made.thread.join(WITHIN_S)
    assert not made.thread.is_alive()


def test_who_is_woken_sees_the_link_that_woke_them(run: Run) -> None:
    run.links.toward(("127.0.0.1",))
    run.thread.start()
    assert run.woken.wait(WITHIN_S)
    assert run.seen == "lo"


def test_an_address_that_is_told_later_is_looked_up_at_once(run: Run) -> None:
    run.thread.start()
    run.links.toward(("127.0.0.1",))
    while run.seen != "lo":
        assert run.woken.wait(WITHIN_S)
        run.woken.clear()


def test_a_kernel_that_does_not_tell_is_a_state_and_asked_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def refused(*_: object) -> LinkWatch:
        asked.set()
        monkeypatch.setattr(link_thread, "LinkWatch", LinkWatch)
        raise LinkWatchError("the kernel does not tell of its links (Address family not supported)")

    monkeypatch.setattr(link_thread, "LinkWatch", refused)
    monkeypatch.setattr(link_thread, "TRY_AGAIN_S", 0.05)
    run.links.toward(("127.0.0.1",))
    run.thread.start()
    assert asked.wait(WITHIN_S)
    assert run.woken.wait(WITHIN_S)
    assert run.links.links().fault == ""


def test_a_watch_that_breaks_says_why_and_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()

    def breaks(_watch: LinkWatch, _now: float) -> float:
        broken.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(LinkWatch, "step", breaks)
    run.thread.start()
    assert broken.wait(WITHIN_S)
    run.links.stop()
    run.thread.join(WITHIN_S)
    assert "lost" in run.links.links().fault


def test_it_ends_at_once_while_nothing_happens(run: Run) -> None:
    run.links.toward(("127.0.0.1",))
    run.thread.start()
    assert run.woken.wait(WITHIN_S)
    run.links.stop()
    run.thread.join(WITHIN_S)
    assert not run.thread.is_alive()
    run.links.stop()  # again, when there is nothing to stop
