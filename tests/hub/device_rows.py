"""A device for the hub's tests: a real shop's ledger, and its journal rows as they travel."""

import sqlite3
from pathlib import Path

from shop import HASHED, PROGRAMME, TID, Shop, payment

from vafa.app import returning
from vafa.app.offering import Offering
from vafa.app.offering import Wish as GiveWish
from vafa.app.redeeming import Redeeming
from vafa.app.redeeming import Wish as RedeemWish
from vafa.app.settling import settle_all
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.club.programme import parse
from vafa.hub.intake import Sender
from vafa.hub.lines import BEGINNING, Spot
from vafa.ledger.storage import connect_reader
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.payment import PaymentKey, Scheme
from vafa.wire.rows import WireRow

MERCHANT = "7KQ2MX"
LEDGER_ID = b"L" * 16
SENDER = Sender(MERCHANT, 1, LEDGER_ID)
_ROWS = "SELECT epoch, seq, at, kind, body, till, state, hash FROM journal WHERE seq > ? ORDER BY seq"


def journal(shop: Shop, after_seq: int = 0) -> list[Row]:
    """The rows of the device's journal."""
    connection = connect_reader(shop.ledger.path)
    try:
        return [Row(*columns) for columns in connection.execute(_ROWS, (after_seq,))]
    finally:
        connection.close()


def sent(rows: list[Row], *, whole: bool = False) -> list[WireRow]:
    """The rows as the hub unpacks them."""
    return [
        WireRow(r.epoch, r.seq, r.at, r.kind, r.body, *((r.till, r.state) if whole else (None, None)))
        for r in rows
    ]


def spot(row: Row | None) -> Spot:
    """Where a row is; before the first for None."""
    return Spot(row.epoch, row.seq, row.hash[:8]) if row else BEGINNING


def sold(shop: Shop, count: int, first: int = 320062616116) -> None:
    """Sales to cards nobody knows, each of 105 rial."""
    for number in range(first, first + count):
        shop.counter.post(payment(number))


def copied(shop: Shop, directory: Path) -> Shop:
    """The same device again, as a copied card makes it: the ledger's file as it is now."""
    with sqlite3.connect(shop.ledger.path) as source:
        target = sqlite3.connect(directory / "ledger.db")
        source.backup(target)
        target.close()
    source.close()
    return Shop(directory, shop.wall_ms)


def busy(shop: Shop) -> None:
    """A day that holds every kind of event a device writes."""
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    sold(shop, 3)
    claimed = shop.counter.post(payment(320062616200, card=HASHED))
    shop.members.claim(claimed.claim, member, "test")
    asked = events.SaleAsked(TID, "r1", 105, 0, "", "", b"", b"", b"", 0, "")
    shop.ledger.write(lambda tx: tx.post(asked))
    shop.ledger.write(lambda tx: tx.post(events.SaleEnded((TID, "r1"), events.SaleOutcome.DECLINED, "55")))
    shop.counter.post(payment(320062616300, 5, is_sale=False))
    gap = shop.ledger.write(lambda tx: tx.post(events.GapDetected(TID, "1", "9", "test")))
    shop.ledger.write(lambda tx: tx.post(events.GapClosed((gap.epoch, gap.seq), "test", "none missed")))
    shop.ledger.write(lambda tx: tx.post(events.GapDetected(TID, "10", "19", "test")))
    shop.ledger.write(lambda tx: tx.post(events.Baseline(TID, "000996", 0)))
    undo = Undo(shop.counter)
    sales = [key(320062616116 + n) for n in range(2)]
    undo.undo(Wish(Undoing.VOID, sales[0], key(1, Scheme.REQUEST), None, None, "test"))
    undo.undo(Wish(Undoing.REFUND, sales[1], key(2, Scheme.REQUEST), 35, None, "test"))
    undo.undo(Wish(Undoing.REFUND, key(7), key(3, Scheme.REQUEST), 35, None, "test"))
    undo.adjust(Adjustment(member, 40, "test", key(4, Scheme.REQUEST), "test"))
    undo.adjust(Adjustment(member, -90, "test", key(5, Scheme.REQUEST), "test"))
    sold(shop, 2, 320062616400)
    other = bytes.fromhex(shop.members.add("09351112233", "", "test").id)
    offered(shop, other)
    spending(shop, other)
    shop.ledger.write(lambda tx: tx.post(events.Merge(member, other, 0, "test")))
    shop.ledger.write(lambda tx: tx.post(events.Unmerge(member, other, 1, "test")))
    shop.ledger.write(lambda tx: tx.post(events.Merge(member, other, 0, "test")))


REWARDS = (
    PROGRAMME
    + """
[expiry]
months = 1
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
points = 1
rial = 10
"""
)


def spending(shop: Shop, member: bytes) -> None:
    """A member's dated points held, spent, released, back with a refund and by hand; the rest lapses."""
    shop.programmes.activate(parse(REWARDS), None)
    counter = Redeeming(shop.counter)
    shop.counter.post(payment(320062616500, 900, paid_at=None), member)
    for request, sale in (("s-1", key(320062616501)), ("s-2", None)):
        counter.hold(RedeemWish(request, member, "off", 1_000, 20, "test"))
        counter.capture(request, 100, sale, "test")
    shop.counter.post(payment(320062616501, 100, paid_at=None), member)
    refund = Wish(Undoing.REFUND, key(320062616501), key(6, Scheme.REQUEST), 50, None, "test")
    Undo(shop.counter).undo(refund)
    returning.give_back(shop.ledger, "s-2", key(8, Scheme.REQUEST), None, "test", shop.counter.zone)
    counter.hold(RedeemWish("s-3", member, "off", 1_000, 20, "test"))
    counter.release("s-3", "test")
    lapsed = events.ClockAttested(shop.wall_ms // 1000 + 90 * 86_400, "test")
    shop.ledger.write(lambda tx: tx.post(lapsed))
    settle_all(shop.ledger)
    shop.programmes.activate(parse(PROGRAMME), None)


OFFERS = (
    PROGRAMME
    + """
[offer.double]
name_fa = "دو برابر"
valid_days = 3
extra = 100
[offer.off]
name_fa = "تخفیف"
valid_days = 3
discount = 100
[offer.sorry]
name_fa = "پوزش"
valid_days = 3
points = 5
grant = "returned"
"""
)


def offered(shop: Shop, member: bytes) -> None:
    """Offers given, used, held and captured, withdrawn; a purchase goes back and one comes with it."""
    shop.programmes.activate(parse(OFFERS), None)
    counter, giving = Redeeming(shop.counter), Offering(shop.ledger, shop.programmes)
    given = [
        giving.give(member, GiveWish(f"o-{number}", name, None, 0, "", "", "test")).event.offer
        for number, name in enumerate(("double", "off", "off", "off"))
    ]
    for offer, request in zip(given[1:3], ("o-held", "o-free"), strict=True):
        counter.hold(RedeemWish(request, member, "", 500, None, "test", offer))
    counter.release("o-free", "test")
    counter.capture("o-held", None, key(320062616600), "test")
    shop.counter.post(payment(320062616600, 400, paid_at=None), member)
    Undo(shop.counter).undo(
        Wish(Undoing.REFUND, key(320062616600), key(9, Scheme.REQUEST), 400, None, "test")
    )
    giving.withdraw(given[3], "test", "test")
    shop.programmes.activate(parse(PROGRAMME), None)


def key(number: int, scheme: Scheme = Scheme.RRN) -> PaymentKey:
    """A payment's key, or a request's."""
    return PaymentKey(scheme, TID, str(number))
