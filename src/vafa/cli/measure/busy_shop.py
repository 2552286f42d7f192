"""A shop as shops are, by chance from a seed: for measuring the sync's bytes and making its dictionary.

Regulars come often and others once; prices are round; the switch numbers every shop's payments, so references
jump; the terminal's clock is a little off and drifts. Nine sales in ten find their member by the card, the
rest draw a claim code, which some claim; now and then one is voided or refunded, or a member joins.
"""

import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from vafa.model.identity import MemberId

if TYPE_CHECKING:
    from vafa.keys.seal import Person, SealedPerson
    from vafa.model.chain import Row
    from vafa.model.pan import CardHint

CUSTOMERS = 1_500
KNOWN_SHARE = 0.9
MEAN_GAP_S = 90.0
OPENS_H, CLOSES_H = 5, 19  # UTC: 08:30 to 22:30 in Tehran
_START = datetime(2026, 3, 21, 6, tzinfo=UTC)
_PRICE_STEPS = (1_000, 5_000, 10_000, 10_000, 50_000)  # rial; a shop rounds its prices to one of them


class BusyShop:
    """One shop with a ledger of its own under `directory`, and one of the example programmes."""

    def __init__(self, directory: Path, seed: int, programme: str = "grocery") -> None:
        from vafa.app.counter import Counter
        from vafa.app.ledger_start import open_epoch
        from vafa.app.members import Members
        from vafa.app.programmes import Programmes, example
        from vafa.app.sales import Sales
        from vafa.app.undo import Undo
        from vafa.club.programme import parse
        from vafa.keys.device_key import DeviceKey
        from vafa.keys.tokens import Tokens
        from vafa.ledger.ledger import Ledger
        from vafa.simulators.deck import deck

        self._random = random = Random(seed)  # noqa: S311 - invented sales, not secrets
        self._now = _START + timedelta(days=random.randrange(400), seconds=random.randrange(3_600))
        self.tokens = Tokens(DeviceKey(random.randbytes(32)))
        self.ledger = Ledger(directory, lambda: int(self._now.timestamp() * 1000))
        open_epoch(self.ledger, self.tokens.key_id)
        programmes = Programmes(self.ledger)
        programmes.activate(parse(example(programme)), None)
        self._counter = Counter(self.ledger, self.tokens, programmes, "Asia/Tehran")
        self._members = Members(self.ledger, self.tokens, _NoSeal())
        self._sales, self._undo = Sales(self._counter), Undo(self._counter)
        self._tid = f"{random.randrange(10_000_000, 99_999_999)}"
        self._cards = deck(CUSTOMERS, seed)
        weights = [1.0 / (rank + 8) for rank in range(CUSTOMERS)]
        self._weights = list(accumulate(weights))
        self._step = random.choice(_PRICE_STEPS)
        self._asks, self._tells_hash = random.random() < 0.4, random.random() < 0.5
        self._rrn, self._trace = random.randrange(10**11, 9 * 10**11), random.randrange(500_000)
        self._skew_s, self._sold = random.randrange(-40, 40), 0
        self._typical = random.uniform(12.0, 14.5)  # e to it: a purchase of 160,000 to 2,000,000 rial

    def enrol(self) -> None:
        """Most customers joined before the rows that are looked at."""
        for number in range(CUSTOMERS):
            if self._random.random() < KNOWN_SHARE:
                self._join(number)

    def sell(self, count: int) -> None:
        """So many sales, and what happens between them."""
        for _ in range(count):
            self._pass(self._random.expovariate(1 / MEAN_GAP_S))
            self._one_sale()

    def rows(self, after: int = 0) -> "list[Row]":
        """The journal's rows after one."""
        from vafa.ledger import reads

        return self.ledger.read(lambda connection: [each.row for each in reads.entries(connection, after)])

    def close(self) -> None:
        """Give the ledger back."""
        self.ledger.close()

    def _one_sale(self) -> None:
        from vafa.app.undo import Undoing, Wish
        from vafa.model.events import SaleOutcome
        from vafa.model.payment import Payment, PaymentKey, Scheme, Source

        random = self._random
        self._sold += 1
        customer = random.choices(range(CUSTOMERS), cum_weights=self._weights)[0]
        hint = self._hint(customer)
        amount = max(self._step, round(random.lognormvariate(self._typical, 0.7) / self._step) * self._step)
        asked = None
        if self._asks:
            asked = self._sales.ask(self._tid, f"{self._sold}", amount, b"", hint)
            self._pass(random.uniform(6, 30))
        self._rrn += random.randrange(1, 40_000)
        self._trace = (self._trace + 1) % 1_000_000
        paid_at = int(self._now.timestamp()) + self._skew_s - random.randrange(3)
        payment = Payment(
            key=PaymentKey(Scheme.RRN, self._tid, f"{self._rrn:012d}"),
            amount=amount,
            source=Source.LIVE,
            paid_at=paid_at,
            trace=f"{self._trace:06d}",
            card=hint,
        )
        if asked is None:
            outcome = self._counter.post(payment)
        else:
            ended = self._sales.end(asked, SaleOutcome.APPROVED, "00", payment)
            assert ended is not None
            outcome = ended
        chance = random.random()
        if outcome.claim and chance < 0.3:
            self._pass(30.0)
            phone = self._join(customer, bind=False)
            self._members.claim(outcome.claim, self._members.known_id(phone), "cashier")
        elif chance > 0.985:
            self._pass(60.0)
            ref = PaymentKey(Scheme.RRN, self._tid, f"{self._rrn + 1:012d}")
            part = amount // 2 if chance > 0.995 else None
            kind = Undoing.VOID if part is None else Undoing.REFUND
            self._undo.undo(Wish(kind, payment.key, ref, part, paid_at, "terminal"))

    def _join(self, customer: int, *, bind: bool = True) -> str:
        from vafa.ledger.ledger import Transaction
        from vafa.model import events

        phone = f"+98912{customer:07d}"
        member: MemberId = self.tokens.member_id(phone)

        def decide(tx: Transaction) -> None:
            from vafa.books.rows import MemberRow, TokenRow

            if tx.find(MemberRow, (member,)) is None:
                tx.post(events.Enrol(member, phone[-4:], "cashier"))
            for token in self.tokens.card_tokens(self._hint(customer)) if bind else ():
                if tx.find(TokenRow, (token, member)) is None:
                    tx.post(events.Bind(member, token, "cashier"))

        self.ledger.write(decide)
        return phone

    def _hint(self, customer: int) -> "CardHint":
        from vafa.model.pan import card_hint

        card = self._cards[customer]
        return card_hint(card.mask, bytes.fromhex(card.sha256_hex) if self._tells_hash else b"")

    def _pass(self, seconds: float) -> None:
        """Time goes on; at closing time to the next morning."""
        self._now += timedelta(milliseconds=round(seconds * 1000))
        if not OPENS_H <= self._now.hour < CLOSES_H:
            self._now += timedelta(hours=24 - CLOSES_H + OPENS_H)


class _NoSeal:
    """Phones here are invented: nothing is sealed."""

    def sealed(self, member: bytes, person: "Person") -> "SealedPerson":
        raise AssertionError("no phone is sealed here")

    def opened(self, sealed: "Sequence[tuple[bytes, SealedPerson]]") -> "list[Person | None]":
        return [None for _ in sealed]


def shop_rows(seed: int, sales: int, programme: str = "grocery") -> "list[Row]":
    """The rows of `sales` sales of one shop whose customers had joined before."""
    memory = Path("/dev/shm")  # noqa: S108 - rows by chance, gone at once
    place = Path(tempfile.mkdtemp(prefix="vafa-shop-", dir=memory if memory.is_dir() else None))
    try:
        shop = BusyShop(place, seed, programme)
        try:
            shop.enrol()
            joined = shop.ledger.head.seq
            shop.sell(sales)
            return shop.rows(joined)
        finally:
            shop.close()
    finally:
        shutil.rmtree(place)
