"""A printer's thread, step by step: what is printed when, what is said of trouble, when it gives up."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.app.live import Live, PrinterState
from vafa.app.printer_standing import of_printers, printer_facts
from vafa.app.printing import QUEUE_MAX, RETRY_EVERY_S, TRIED_FOR_S, Press
from vafa.model.errors import PortError, ReceiptFault
from vafa.ports.clock import ManualClock
from vafa.receipt.escpos import ASK_OFFLINE, ASK_PAPER, ASK_PRINTER
from vafa.receipt.page import Page, Text
from vafa.receipt.press import Set

WELL = {ASK_PRINTER: 0x12, ASK_OFFLINE: 0x12, ASK_PAPER: 0x12}
NO_PAPER = {ASK_PRINTER: 0x1A, ASK_OFFLINE: 0x32, ASK_PAPER: 0x72}
COVER = {ASK_PRINTER: 0x1A, ASK_OFFLINE: 0x16, ASK_PAPER: 0x12}


class Paper:
    """A printer's line: what was sent, and scripted answers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.says = WELL
        self.says_after: dict[bytes, int] | None = None
        self.breaks = False
        self.opened = self.closed = 0

    def open(self) -> "Paper":
        if self.breaks:
            raise PortError("tcp:192.0.2.9:9100: nothing listens", fix="switch it on", code="SER-010")
        self.opened += 1
        return self

    def send(self, data: bytes) -> None:
        if self.breaks:
            raise PortError("the printer takes no bytes", fix="check the cable", code="PRN-001")
        self.sent.append(data)
        if self.says_after is not None:
            self.says, self.says_after = self.says_after, None

    def ask(self, questions: Sequence[bytes], within_s: float) -> dict[bytes, int]:
        return {asked: said for asked, said in self.says.items() if asked in questions}

    def close(self) -> None:
        self.closed += 1


class Desk:
    """A press with its printer."""

    def __init__(self, profile: str = "escpos-58") -> None:
        self.paper, self.clock = Paper(), ManualClock(0)
        self.faults: dict[str, ReceiptFault] = {}
        self.press = Press(
            "counter", "tcp:192.0.2.9:9100", profile, self.paper.open, self.set_page, self.clock
        )

    def set_page(self, page: Page, _profile: str) -> Set:
        text = "".join(block.text for block in page.blocks if isinstance(block, Text))
        if text in self.faults:
            raise self.faults[text]
        return Set((text.encode(),))

    def offer(self, *texts: str) -> None:
        for text in texts:
            self.press.offer(text, Page("fa", (Text(text),)))

    def troubles(self) -> list[str]:
        live = Live("0", 1, 1.0, (), printers=(self.press.state(),))
        return [each.code for each in of_printers(live)]


def test_a_page_is_printed_once_and_the_line_given_back() -> None:
    desk = Desk()
    desk.offer("one")
    assert desk.press.step() == 0.0
    assert desk.paper.sent == [b"one"]
    state = desk.press.state()
    assert (state.doing, state.printed, state.waiting, state.printed_age_s) == ("ready", 1, 0, 0.0)
    assert desk.paper.opened == desk.paper.closed == 1
    assert desk.press.step() == 0.0
    assert desk.paper.sent == [b"one"]


def test_several_pages_share_a_connection() -> None:
    desk = Desk()
    desk.offer("one", "two")
    desk.press.step()
    desk.press.step()
    assert desk.paper.sent == [b"one", b"two"]
    assert desk.paper.opened == 1


@pytest.mark.parametrize(
    ("says", "doing", "code"), [(NO_PAPER, "paper out", "PRN-004"), (COVER, "cover open", "PRN-005")]
)
def test_what_a_printer_says_is_a_state_and_its_end_prints_what_waits(
    says: dict[bytes, int], doing: str, code: str
) -> None:
    desk = Desk()
    desk.paper.says = says
    desk.offer("one")
    assert desk.press.step() == RETRY_EVERY_S
    assert desk.paper.sent == []
    assert (desk.press.state().doing, desk.press.state().waiting) == (doing, 1)
    assert desk.troubles() == [code]
    desk.paper.says = WELL
    desk.press.step()
    assert desk.paper.sent == [b"one"]
    assert desk.troubles() == []


def test_a_page_that_ran_out_of_paper_is_printed_again_whole() -> None:
    desk = Desk()
    desk.paper.says_after = NO_PAPER
    desk.offer("one")
    assert desk.press.step() == RETRY_EVERY_S
    desk.paper.says = WELL
    desk.press.step()
    assert desk.paper.sent == [b"one", b"one"]
    assert desk.press.state().printed == 1


def test_a_printer_that_is_not_there_is_tried_for_a_bounded_time_and_then_the_page_is_given_up() -> None:
    desk = Desk()
    desk.paper.breaks = True
    desk.offer("1-1-5")
    tries = 0
    while desk.press.state().waiting:
        wait_s = desk.press.step()
        desk.clock.advance(wait_s or RETRY_EVERY_S)
        tries += 1
        assert tries < 1_000
    assert tries * RETRY_EVERY_S >= TRIED_FOR_S
    assert desk.press.state().given_up == 1
    desk.paper.breaks = False
    desk.press.step()  # a look at the idle printer: it is back
    assert desk.troubles() == ["PRN-008"], "the slip is still missing"
    desk.offer("1-1-5")
    desk.press.step()
    assert desk.troubles() == []


def test_an_idle_printer_is_looked_at_so_that_status_knows_before_a_customer_waits() -> None:
    desk = Desk()
    desk.paper.says = NO_PAPER
    assert desk.press.step() == 0.0
    assert desk.press.state().doing == "paper out"
    assert desk.paper.opened == desk.paper.closed == 1, "a printer in a network serves others too"


def test_a_printer_that_answers_no_questions_is_believed_to_print() -> None:
    desk = Desk("escpos-58-plain")
    desk.paper.says = NO_PAPER
    desk.offer("one")
    desk.press.step()
    assert desk.paper.sent == [b"one"]


def test_a_printer_that_fell_silent_with_a_page_is_told_and_the_page_is_not_printed_again_and_again() -> None:
    desk = Desk()
    desk.paper.says_after = {}  # half open: it takes bytes and is dead
    desk.offer("1-1-5")
    assert desk.press.step() == 0.0
    assert desk.troubles() == ["PRN-001"]
    desk.paper.says = WELL
    desk.press.step()
    assert desk.paper.sent == [b"1-1-5"]
    assert desk.troubles() == ["PRN-008"], "a person prints it again if it is missing"
    assert desk.press.state().last_given_up == "1-1-5"


def test_a_printer_that_never_answers_is_no_trouble() -> None:
    desk = Desk()
    desk.paper.says = {}
    desk.offer("one")
    desk.press.step()
    assert (desk.press.state().printed, desk.troubles()) == (1, [])


ANSWERS = st.fixed_dictionaries(dict.fromkeys((ASK_PRINTER, ASK_OFFLINE, ASK_PAPER), st.integers(0, 255)))


@given(before=ANSWERS, after=ANSWERS)
def test_whatever_a_printer_answers_a_page_is_printed_or_a_state_says_why(
    before: dict[bytes, int], after: dict[bytes, int]
) -> None:
    desk = Desk()
    desk.paper.says, desk.paper.says_after = before, after
    desk.offer("one")
    desk.press.step()
    state = desk.press.state()
    assert state.printed + state.waiting == 1
    assert (state.code in ("PRN-004", "PRN-005", "PRN-006", "PRN-007")) is bool(state.waiting)


def test_a_page_that_cannot_be_set_costs_only_itself() -> None:
    desk = Desk()
    desk.faults["bad"] = ReceiptFault("no FriBidi", fix="sudo apt install libfribidi0")
    desk.offer("bad", "good")
    desk.press.step()
    assert desk.troubles() == ["PRN-010"]
    desk.press.step()
    assert desk.paper.sent == [b"good"]
    assert desk.press.state().given_up == 1


def test_a_machine_that_cannot_set_persian_says_so_before_the_first_slip() -> None:
    desk = Desk()
    desk.faults[""] = ReceiptFault("FriBidi is missing", fix="sudo apt install libfribidi0")
    desk.press.check()
    assert desk.troubles() == ["PRN-010"]
    assert desk.press.step() == 0.0
    assert desk.troubles() == ["PRN-010"], "the printer itself is well"
    desk.offer("one")
    desk.press.step()
    assert desk.troubles() == []


def test_a_full_queue_gives_up_its_oldest_page() -> None:
    desk = Desk()
    desk.offer(*(str(number) for number in range(QUEUE_MAX + 2)))
    state = desk.press.state()
    assert (state.waiting, state.given_up, state.last_given_up) == (QUEUE_MAX, 2, "1")


def test_status_shows_what_a_person_can_act_on() -> None:
    low = PrinterState("counter", "/dev/usb/lp0", "escpos-58", "ready", printed_age_s=38.0, paper_low=True)
    (facts,) = printer_facts(Live("0", 1, 1.0, (), printers=(low,)))
    assert (facts.what, facts.state, facts.printed_age_s) == ("counter escpos-58", "paper low", 38.0)
