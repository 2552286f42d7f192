"""A line to a printer that babbles, falls silent, takes nothing or is pulled out: bounded, and told."""

import os
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.model.errors import PortError
from vafa.ports import link, printer
from vafa.ports.printer import Flow, Printer, open_printer
from vafa.receipt.escpos import ASKED, Trouble, trouble

PATIENCE_S = 30.0


class Chunks:
    """A link that says what it was given, and then nothing more."""

    name = "chunks"

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def read(self, wait_s: float) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def write(self, data: bytes) -> None:
        return

    def interrupt(self) -> None:
        return

    def close(self) -> None:
        return


@given(st.lists(st.binary(max_size=6), max_size=60))
def test_any_bytes_for_an_answer_are_read_as_something_or_nothing(chunks: list[bytes]) -> None:
    answers = Printer(Chunks(chunks)).ask(ASKED)
    assert set(answers) in (set(), set(ASKED))
    assert isinstance(trouble(answers), Trouble)


@contextmanager
def peer(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Something else than a printer at a printer's address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accepted() -> None:
            there, _ = listening.accept()
            with there:
                serve(there)

        thread = threading.Thread(target=accepted)
        thread.start()
        try:
            yield f"tcp:127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


class Endless(Chunks):
    """A link on which something is always there already: an echo, another machine at this address."""

    def read(self, wait_s: float) -> bytes:
        self.chunks.append(b"")
        assert len(self.chunks) < 10_000, "the printing thread would never come back"
        return b"\x16" * 4096


def test_a_machine_that_talks_without_end_is_asked_and_left() -> None:
    assert set(Printer(Endless([])).ask(ASKED)) == set(ASKED)


def test_a_printer_that_is_connected_and_takes_nothing_is_stuck_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = threading.Event()
    monkeypatch.setattr(link, "WRITE_LIMIT_S", 0.1)
    monkeypatch.setattr(printer, "ANSWER_WITHIN_S", 0.1)
    with peer(lambda _: done.wait(PATIENCE_S)) as address:
        with closing(open_printer(address, 9600, Flow.NONE)) as line:
            assert line.ask(ASKED, 0.05) == {}
            with pytest.raises(PortError, match="takes no bytes"):
                line.send(bytes(64 * 1024 * 1024))
        done.set()


def test_a_printer_pulled_out_in_the_middle_of_a_slip_is_gone_and_not_printed_on() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)

    def printer_end() -> None:
        os.read(master, 4096)
        os.close(slave)
        os.close(master)

    thread = threading.Thread(target=printer_end)
    with closing(open_printer(os.ttyname(slave), 9600, Flow.NONE)) as line:
        thread.start()
        with pytest.raises(PortError) as gone:
            line.send(bytes(1024 * 1024))
    thread.join(PATIENCE_S)
    assert gone.value.code == "PRN-001"
    assert "printer" in gone.value.fix
