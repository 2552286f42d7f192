"""Slips follow the journal: once a payment, on its terminal's printers, and not for who has gone."""

import threading

import msgspec
import pytest
from shop import TID, Shop, payment

from vafa.app.live import PrinterState
from vafa.app.paper import Paper
from vafa.app.slips import LATE_S, Slips
from vafa.app.undo import Undo, Undoing, Wish
from vafa.model.payment import PaymentKey, Scheme, Source
from vafa.receipt.page import Page, text


class Tray:
    """Stands in for a printer's thread: keeps what it is offered."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, tuple[str, ...]]] = []

    def offer(self, number: str, page: Page) -> None:
        self.pages.append((number, text(page)))

    def state(self) -> PrinterState:
        raise AssertionError("nobody asks")


@pytest.fixture
def tray() -> Tray:
    return Tray()


@pytest.fixture
def slips(shop: Shop, tray: Tray) -> Slips:
    paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", shop.programmes)
    made = Slips(shop.ledger, paper, {TID: (tray,)})
    shop.ledger.followers.append(made.wake)
    return made


def test_an_award_is_printed_once_however_often_it_is_heard(shop: Shop, slips: Slips, tray: Tray) -> None:
    shop.counter.post(payment())
    slips.step()
    shop.counter.post(payment(source=Source.POLLED))
    slips.step()
    assert len(tray.pages) == 1
    assert any("۱۰ امتیاز" in line for line in tray.pages[0][1])


def test_what_was_committed_before_the_start_is_not_printed_by_itself(shop: Shop, tray: Tray) -> None:
    shop.counter.post(payment())
    paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", shop.programmes)
    Slips(shop.ledger, paper, {TID: (tray,)}).step()
    assert tray.pages == []


@pytest.mark.parametrize(("age_s", "printed"), [(0, 1), (LATE_S - 1, 1), (LATE_S + 60, 0)])
def test_a_sale_found_in_the_list_is_printed_while_its_customer_may_wait(
    shop: Shop, slips: Slips, tray: Tray, age_s: int, printed: int
) -> None:
    now_s = shop.ledger.write(lambda tx: tx.at_ms) // 1000
    shop.counter.post(payment(source=Source.POLLED, paid_at=now_s - age_s))
    slips.step()
    assert len(tray.pages) == printed
    assert slips.late == 1 - printed


def test_a_sale_heard_live_is_printed_whatever_the_clocks_say(shop: Shop, slips: Slips, tray: Tray) -> None:
    shop.counter.post(payment(source=Source.LIVE, paid_at=0))
    slips.step()
    assert len(tray.pages) == 1


def test_a_sale_entered_by_hand_and_another_terminals_are_not_printed(
    shop: Shop, slips: Slips, tray: Tray
) -> None:
    shop.counter.post(payment(source=Source.RECORDED))
    other = PaymentKey(Scheme.RRN, "99999999", "320062616117")
    shop.counter.post(msgspec.structs.replace(payment(), key=other))
    slips.step()
    assert tray.pages == []


def test_a_void_has_a_slip_of_its_own(shop: Shop, slips: Slips, tray: Tray) -> None:
    shop.counter.post(payment())
    sale = PaymentKey(Scheme.RRN, TID, "320062616116")
    Undo(shop.counter).undo(
        Wish(Undoing.VOID, sale, PaymentKey(Scheme.RRN, TID, "420062616116"), None, None, "test")
    )
    slips.step()
    assert len(tray.pages) == 2
    assert any("کسر شد" in line for line in tray.pages[1][1])


def test_each_commit_wakes_the_thread_and_a_stop_ends_it(shop: Shop, slips: Slips, tray: Tray) -> None:
    thread = threading.Thread(target=slips.run)
    thread.start()
    shop.counter.post(payment())
    slips.stop()
    thread.join(30.0)
    assert not thread.is_alive()
