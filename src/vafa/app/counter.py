"""The shop's counter: posts payments. Supplies the `decide` of every award.

All deciding happens inside `Ledger.write`, on the state the transaction sees, so two lanes never decide on
the same old balance, and a payment that was posted before gets its first outcome, unchanged.
"""

import secrets
import sqlite3
from fractions import Fraction

import msgspec

from vafa.app import earning, open_offers
from vafa.app.joining import bind_again
from vafa.app.offer_words import told_with_sale
from vafa.app.outcome import Outcome, outcome_at, outcome_of, spent_before
from vafa.app.programmes import Programmes
from vafa.app.read_up import ReadUp
from vafa.books.effect import paying
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentRow
from vafa.club.earn import Earned, earn
from vafa.club.offers import earn_with
from vafa.club.programme import Programme
from vafa.keys.tokens import Tokens
from vafa.ledger import people, reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.calendar import WallTime
from vafa.model.events import KnownBy, Nothing
from vafa.model.identity import NO_CARD, NO_MEMBER, CardToken, is_strong
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey

CLAIM_DIGITS = 6
CLAIM_DRAWS = 50


class Holder(msgspec.Struct, frozen=True):
    """Who a payment's points go to.

    id     a member, a strong card token (points wait on the card) or b'' (they wait on the payment)
    card   the best token of the card, b'' when the terminal told nothing
    row    the holder's row in the books, None when it has none yet
    is_alone  known to have no other id, so that no points lie beside
    """

    id: bytes
    card: bytes
    row: MemberRow | None
    known_by: KnownBy
    is_alone: bool = False

    @property
    def balance(self) -> int:
        return self.row.balance if self.row else 0

    def balance_with(self, points: int) -> int:
        """The balance after new points, which pay a debt first; 0 for points that wait on their payment."""
        if self.row is not None:
            return self.row.balance + points - paying(self.row, points)
        return points if self.id else 0

    @property
    def shown_balance(self) -> int | None:
        """The balance the paper may say: never to a hint, never of a card nobody has claimed."""
        return self.balance if self.known_by in (KnownBy.PHONE, KnownBy.CARD) else None

    def carry(self, programme: Programme) -> Fraction:
        """The fraction of a point the holder has left over under a programme version."""
        return Fraction(*Carry(self.row.carry).of(programme.id)) if self.row else Fraction(0)


class Counter:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, ledger: Ledger, tokens: Tokens, programmes: Programmes, zone: str) -> None:
        self.ledger = ledger
        self.tokens = tokens
        self.programmes = programmes
        self.zone = zone
        self.read_up = ReadUp()
        self._device_of = (0, 0)  # (epoch, the device's number in it)

    def post(self, payment: Payment, member: bytes = NO_MEMBER) -> Outcome:
        """Award a completed payment, durably and once; heard before, its first outcome comes back.

        A payment with the identity of a void, refund or adjustment earns nothing (`why` OF_AN_UNDOING): a
        fault that its lane shows. `member` is who the customer said they are; where it is empty or unknown
        the card decides. Raises LedgerError when nothing could be made durable, and nothing else: a payment
        is never refused.
        """
        return self.ledger.write(lambda tx: self.post_within(tx, payment, member))

    def seen(self, payment: Payment) -> Outcome | None:
        """The first outcome of a payment that was posted before, else None. Writes nothing."""
        return self.ledger.read(lambda connection: self._first(connection, payment))

    def knows(self, key: PaymentKey) -> bool:
        """True when this payment was posted."""
        return self.ledger.read(lambda connection: reads.payment(connection, key) is not None)

    def post_within(
        self, tx: Transaction, payment: Payment, member: bytes, claim: str = "", card: bytes = NO_CARD
    ) -> Outcome:
        """`post` as part of a larger decision.

        claim  a code that is already on paper; card  a token the terminal was told to take the money from
        """
        key = payment.key
        is_posted, is_redeemed_for = reads.heard_before(tx.connection, key)
        if is_posted:
            first = self._first(tx.connection, payment)
            assert first is not None
            return first
        tx.note(PaymentRow, (key.scheme, key.tid, key.ref, key.reuse), None)
        event = self._event(tx, payment, member, claim, card)
        if self._device_of[0] != tx.head.epoch:
            device = reads.device(tx.connection)
            assert device is not None
            self._device_of = (tx.head.epoch, device.device)
        posted = reads.Entry(tx.post(event), event)
        if not isinstance(event, events.Award):
            return outcome_of(self._device_of[1], posted)
        if self.tokens.are_two:
            bind_again(tx, self.tokens, payment.card, event.holder)
        has_offers = bool(event.offers or event.told)
        if event.at:
            for following in earning.following(tx, self.programmes.by_id(event.programme), event):
                tx.post(following)
                has_offers = has_offers or isinstance(following, events.Offer)
        spent = spent_before(tx.connection, posted) if is_redeemed_for else ()
        told = told_with_sale(tx.connection, posted) if has_offers else ()
        return outcome_of(self._device_of[1], posted, spent, told)

    def baseline_within(self, tx: Transaction, payment: Payment) -> None:
        """Record a payment that is older than the club at this terminal: known from now on, never awarded."""
        best = next(iter(self.tokens.card_tokens(payment.card)), NO_CARD)
        tx.post(events.PaymentSeen(self._paid(payment, best), Nothing.BASELINE))

    def holder(self, tx: Transaction, member: bytes, hint: CardHint, card: bytes = NO_CARD) -> Holder:
        """Who holds the points: the named member, the card's one member, or nobody yet."""
        tokens = [CardToken(card)] if is_strong(card) else []
        tokens += [token for token in self.tokens.card_tokens(hint) if token not in tokens]
        best = tokens[0] if tokens else NO_CARD
        row = self._acting(tx, member) if member else None
        if row is not None and row.state == MemberState.ACTIVE:
            return Holder(row.id, best, row, KnownBy.PHONE)
        for token in tokens:
            owners = self._owners(tx, token)
            if len(owners) == 1:  # of a family's card the cashier says whose it is
                known_by = KnownBy.CARD if is_strong(token) else KnownBy.HINT
                ((owner, (owner_row, is_alone)),) = owners.items()
                return Holder(owner, best, owner_row, known_by, is_alone)
        return self._waiting(tx, [token for token in tokens if is_strong(token)], best)

    @staticmethod
    def _owners(tx: Transaction, token: bytes) -> dict[bytes, tuple[MemberRow, bool]]:
        """Whoever gets what is paid with a card, and whether they have no other id."""
        owners: dict[bytes, tuple[MemberRow, bool]] = {}
        for row, is_alone in people.of_card(tx.connection, token):
            acting = row if is_alone else people.acting(tx.connection, row.id)
            if acting is not None:
                tx.note(MemberRow, (acting.id,), acting)
                owners[acting.id] = (acting, is_alone)
        return owners

    @staticmethod
    def _acting(tx: Transaction, member: bytes) -> MemberRow | None:
        """The row that gets what a member earns; of somebody merged that of the one they answer as."""
        if people.stands_alone(tx.connection, member):
            return tx.find(MemberRow, (member,))
        row = people.acting(tx.connection, member)
        return tx.find(MemberRow, (row.id,)) if row else None

    @staticmethod
    def _waiting(tx: Transaction, strong: list[CardToken], best: CardToken) -> Holder:
        """Points of a card nobody has claimed wait where that card's points wait already, else on its first
        token: one card may have one under the merchant's key and one under the device's own."""
        for token in strong:
            row = tx.find(MemberRow, (token,))
            if row is not None:
                return Holder(token, best, row, KnownBy.NOBODY)
        return Holder(strong[0] if strong else NO_CARD, best, None, KnownBy.NOBODY)

    def draw_claim(self, tx: Transaction) -> str:
        """A claim code nobody holds yet: six random digits, eight when those are crowded."""
        asked = (reads.entry(tx.connection, row.seq).event for row in reads.open_sales(tx.connection))
        taken = {event.claim for event in asked if isinstance(event, events.SaleAsked)}
        for attempt in range(2 * CLAIM_DRAWS):
            digits = CLAIM_DIGITS if attempt < CLAIM_DRAWS else CLAIM_DIGITS + 2
            code = f"{secrets.randbelow(10**digits):0{digits}d}"
            if code not in taken and reads.payment_of_claim(tx.connection, code) is None:
                return code
        raise AssertionError("a hundred random claim codes were all taken")

    def _first(self, connection: sqlite3.Connection, payment: Payment) -> Outcome | None:
        row = reads.payment(connection, payment.key)
        if row is None:
            return None
        return outcome_at(connection, reads.entry(connection, row.seq), heard=payment, tokens=self.tokens)

    def _event(
        self, tx: Transaction, payment: Payment, member: bytes, claim: str, card: bytes
    ) -> events.Event:
        """The Award, or the Payment that earns nothing and says why."""
        holder = self.holder(tx, member, payment.card, card)
        paid = self._paid(payment, holder.card)
        return self.earned(tx, paid, holder, payment.less, claim, is_sale=payment.is_sale)

    def earned(
        self,
        tx: Transaction,
        paid: events.Paid,
        holder: Holder,
        less: tuple[tuple[int, int], ...],
        claim: str,
        *,
        is_sale: bool,
    ) -> events.Award | events.PaymentSeen:
        """What a payment brings its holder on the state the transaction sees."""
        programme = self.programmes.at(paid.paid_at if paid.paid_at is not None else tx.at_ms // 1000)
        if programme is None:
            return events.PaymentSeen(paid, Nothing.NO_PROGRAMME)
        carry = holder.carry(programme)
        at = events.instant_of_rules(paid, tx.at_ms // 1000)
        waits = holder.known_by is KnownBy.NOBODY
        others = [] if waits or holder.is_alone else people.others(tx.connection, holder.id)
        held = open_offers.of_customer(tx.connection, holder, others)
        usable = open_offers.usable(programme, held, at, paid) if held else ()
        around = earning.circumstances(tx, programme, holder.id, holder.row, at, less, usable)
        earned = (earn_with if usable else earn)(
            programme, paid.amount, Currency(paid.currency), is_sale, carry, around
        )
        if not isinstance(earned, Earned):
            return events.PaymentSeen(paid, earned, programme.id)
        award = events.Award(
            paid=paid,
            holder=holder.id,
            claim=(claim or self.draw_claim(tx)) if waits else "",
            programme=programme.id,
            eligible=earned.eligible,
            contribution=(earned.contribution.numerator, earned.contribution.denominator),
            carry=(carry.numerator, carry.denominator),
            points=earned.points,
            balance=holder.balance_with(earned.points),
            known_by=holder.known_by,
            beside=sum(row.balance for row in others),
            less=less,
            told=open_offers.to_tell(held, at, earned.offers) if held else b"",
        )
        if programme.is_plain and not earned.offers:
            return award
        return earning.with_rules(award, programme, earned, around, holder.row)

    def _instant(self, payment: Payment) -> int | None:
        """When the terminal says it was paid, UTC seconds; None when it told no possible time."""
        if isinstance(payment.paid_at, WallTime):
            return payment.paid_at.instant(self.zone)
        return payment.paid_at

    def _paid(self, payment: Payment, card: bytes) -> events.Paid:
        return events.Paid(
            key=payment.key,
            amount=payment.amount,
            currency=payment.currency,
            paid_at=self._instant(payment),
            source=self.read_up.source_of(payment),
            trace=payment.trace,
            card=card,
            mask=payment.card.bin6 + payment.card.last4,
            order_id=self.tokens.without_pans(payment.order_id),
        )
