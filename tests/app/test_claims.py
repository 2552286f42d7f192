"""A claim equals having enrolled first: of everything the rules would have given, no more and no less."""

from shop import HASHED, TID, Shop, payment

from vafa.app.recheck import Recheck
from vafa.app.undo import Undo, Undoing, Wish
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model.payment import PaymentKey, Scheme

PHONE = "09121236789"


def faults(shop: Shop) -> object:
    connection = connect_reader(shop.ledger.path)
    try:
        return verify(connection, Recheck(connection)).bad
    finally:
        connection.close()


def undo(shop: Shop, kind: Undoing, sale: str, ref: str, amount: int | None = None) -> None:
    key, own = (PaymentKey(Scheme.RRN, TID, each) for each in (sale, ref))
    Undo(shop.counter).undo(Wish(kind, key, own, amount, None, "test"))


def joined(shop: Shop, phone: str = PHONE) -> bytes:
    return bytes.fromhex(shop.members.add(phone, "", "test").id)


def test_a_claim_beside_a_voided_purchase_verifies(shop: Shop) -> None:
    """What waits on a card is one floor: which purchase or void had which point of it does not matter."""
    for number in (1, 2):
        waiting = shop.counter.post(payment(number, card=HASHED))  # 10.5 each: 10, then 11
    undo(shop, Undoing.VOID, "1", "v")
    assert shop.members.claim(waiting.claim, joined(shop), "test").points == 10
    assert faults(shop) == ()
