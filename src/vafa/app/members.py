"""Members at the counter: enrol by phone, bind a card, claim waiting points, find and show.

A phone becomes a keyed id at once; the number itself is sealed into `secret` in the same commit and opened
only to show its mask. Sealing and opening take another process a while: never inside the ledger's lock, where
a sale would wait for it.
"""

import sqlite3
from fractions import Fraction

import msgspec
import structlog

from vafa.app import claiming, earning
from vafa.app.elsewhere import Elsewhere
from vafa.app.joining import OWN_WORD
from vafa.app.member_view import MemberView, member_view
from vafa.books.effect import floor_sum
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentRow, PaymentState
from vafa.keys.seal import Person, SealedPerson, Seals, unopened
from vafa.keys.tokens import Tokens
from vafa.ledger import people, reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.calendar import local_time
from vafa.model.errors import NotFound, Refused, SealingFailed
from vafa.model.identity import (
    MEMBER_ID_BYTES,
    ascii_digits,
    is_strong,
    last4_masked,
    phone_e164,
    phone_masked,
)
from vafa.model.pan import CardHint

_SEAL_ROW = "INSERT OR REPLACE INTO secret (member, wrapped_key, phone, name) VALUES (?, ?, ?, ?)"
_SEALED = "SELECT wrapped_key, phone, name FROM secret WHERE member = ?"

log = structlog.get_logger()

Closed = tuple[MemberView, SealedPerson | None]  # a member with nothing opened, and what could be


class Claimed(msgspec.Struct, frozen=True):
    """What a claim brought: points for the member, over how many payments, and the balance now."""

    member: MemberView
    payments: int
    points: int
    seen_before: bool


class Members:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(
        self, ledger: Ledger, tokens: Tokens, sealer: Seals, elsewhere: Elsewhere | None = None
    ) -> None:
        """`elsewhere`: members of the merchant's other devices, where the hub told of them."""
        self.ledger = ledger
        self._tokens = tokens
        self.sealer = sealer
        self._elsewhere = elsewhere

    def id_of(self, phone: str) -> bytes:
        """The member id of a phone in any spelling: the one they have here, else the one they would get.

        Refused when it is no mobile number.
        """
        ids = self._tokens.member_ids(checked_phone(phone))
        row = self.ledger.read(lambda connection: people.first_here(connection, ids))
        return row.id if row is not None else ids[0]

    def known_id(self, phone: str) -> bytes:
        """The member id of an enrolled phone, without opening anything sealed. NotFound, Refused."""
        member = self.id_of(phone)
        try:
            self.ledger.read(lambda connection: _active(connection, member))
        except NotFound as error:
            raise self._not_here(phone, error) from error
        return member

    def own_id(self, phone: str) -> bytes:
        """The id that an enrolled phone has for itself, also while it answers as another one. NotFound."""
        acting, ids = self.known_id(phone), self._tokens.member_ids(checked_phone(phone))
        rows = self.ledger.read(lambda connection: [reads.holder(connection, each) for each in ids])
        active = (row.id for row in rows if row is not None and row.state == MemberState.ACTIVE)
        return next(active, acting)

    def _not_here(self, phone: str, error: NotFound) -> NotFound:
        """What to say of a phone that is no member here: it may be one at the merchant's other devices."""
        number = phone_e164(phone)
        if self._elsewhere is None or number is None:
            return error
        there = self._elsewhere.member(self._tokens.member_ids(number))
        if there is None:
            return error
        day = f"{local_time(there.as_of, 'UTC'):%Y-%m-%d}"
        return NotFound(
            f"a member at the shop's other tills ({there.balance:,} points there on {day}), not here yet",
            fix="vafa member add PHONE",
        )

    def add(self, phone: str, name: str, by: str) -> MemberView:
        """Enrol a phone. Enrolling it again changes nothing and shows the member. SealingFailed."""
        number = checked_phone(phone)
        ids = self._tokens.member_ids(number)
        here = self.ledger.read(lambda connection: people.joined(connection, ids))
        if here is not None:
            if here.id in ids and not self.ledger.read(lambda c: _is_sealed(c, here.id)):
                self._seal_again(here.id, Person(number, name), by)
            return self.show(here.id, number)  # nothing to seal
        member, person = self.ledger.read(lambda c: people.joining(c, ids)), Person(number, name)
        row = (member, *msgspec.structs.astuple(self.sealer.sealed(member, person)))

        def decide(tx: Transaction) -> bytes | None:
            known = people.joined(tx.connection, ids)
            if known is not None:
                return known.id
            tx.post(events.Enrol(member, number[-4:], by))
            if name:
                tx.post(events.Profile(member, 1, None, b"", None, by, tx.at_ms // 1000))
            tx.connection.execute(_SEAL_ROW, row)
            return None

        known = self.ledger.write(decide)
        if known is not None:
            return self.show(known, number)
        view, _ = self.ledger.read(lambda connection: _closed(connection, member))
        return msgspec.structs.replace(_told(view, person), created=True)

    def _seal_again(self, member: bytes, person: Person, by: str) -> None:
        """The phone of a member whose ciphertext was lost with a disk; they came back with the hub's rows."""
        row = (member, *msgspec.structs.astuple(self.sealer.sealed(member, person)))

        def decide(tx: Transaction) -> None:
            tx.post(events.Profile(member, int(bool(person.name)), None, b"", None, by, tx.at_ms // 1000))
            tx.connection.execute(_SEAL_ROW, row)

        self.ledger.write(decide)

    def show(self, member: bytes, phone: str = "") -> MemberView:
        """The member with their cards and last payments; `phone` where the asker gave it. NotFound.

        Who gave it, and has no name, is shown without opening anything.
        """
        try:
            view, sealed = self.ledger.read(lambda connection: _closed(connection, member))
        except NotFound as error:
            raise self._not_here(phone, error) from error
        number = phone_e164(phone)
        if number:
            view = msgspec.structs.replace(view, phone=phone_masked(number))
        if sealed is None or (number and sealed.name is None):
            return view
        return self._opened([(view, sealed)])[0]

    def find(self, text: str) -> list[MemberView]:
        """Members by whole phone, the last four digits of one, or the id in hex."""
        digits = ascii_digits(text).strip()
        phone = phone_e164(digits)
        if phone:
            ids: list[bytes] = [self.id_of(phone)]
        elif len(digits) == 4 and digits.isdigit():
            ids = [row.id for row in self.ledger.read(lambda c: reads.members_ending(c, digits))]
        else:
            ids = [_id_of_hex(digits)]
        found = [self.ledger.read(lambda c, i=each: _row(c, i)) for each in ids]  # type: ignore[misc]
        there = [row.id for row in found if row is not None and row.state == MemberState.ACTIVE]
        return self._opened([self.ledger.read(lambda c, i=each: _closed(c, i)) for each in there])  # type: ignore[misc]

    def bind(self, member: bytes, payment: str, by: str, *, shared: bool = False) -> MemberView:
        """Bind the card of a sale (by any of its numbers) to a member. Binding it again changes nothing.

        shared  the card is a family's: it may have other members too, and the cashier says who pays
        """

        def decide(tx: Transaction) -> None:
            _active(tx.connection, member)
            entry = the_sale(tx.connection, payment)
            token = reads.paid_of(entry.event).card
            if not token:
                raise Refused("the terminal told nothing of that sale's card, so it cannot be bound")
            owners = reads.members_of_token(tx.connection, token)
            if member in owners:
                return
            if owners and not shared:
                raise Refused(
                    "this card belongs to another member already",
                    fix="for a family's card: vafa member bind PHONE ID --shared, and say who pays",
                )
            tx.post(events.Bind(member, token, by))

        self.ledger.write(decide)
        return self.show(member)

    def of_card(self, hint: CardHint) -> list[MemberView]:
        """The members a card belongs to, for the cashier to ask which of them pays. NotFound for nobody's.

        Refused for first six and last four digits alone: those show nobody's name.
        """
        strong = [token for token in self._tokens.card_tokens(hint) if is_strong(token)]
        if not strong:
            raise Refused("six and four digits of a card are only a hint", fix="ask for the phone")

        def question(connection: sqlite3.Connection) -> list[Closed]:
            ids = (each for token in strong for each in reads.members_of_token(connection, token))
            rows = (people.acting(connection, each) for each in ids)
            found = {row.id: row for row in rows if row is not None and row.state == MemberState.ACTIVE}
            return [_closed(connection, each) for each in found]

        closed = self.ledger.read(question)
        if not closed:
            raise NotFound("this card belongs to no member here", fix="ask for the phone")
        return self._opened(closed)

    def claim(self, code: str, who: bytes, by: str) -> Claimed:
        """Give the points that wait under `code` to a member: as if they had enrolled before.

        The code claims its own payment, and the others waiting on the card only when the terminal gave the
        card's hash. Claiming again by the same member changes nothing; by another one is refused.
        """
        wanted = ascii_digits(code).replace(" ", "")

        payments, points, again = self.ledger.write(lambda tx: self.claim_within(tx, wanted, who, by))
        return Claimed(self.show(who), payments, points, again)

    @classmethod
    def claim_within(cls, tx: Transaction, code: str, who: bytes, by: str) -> tuple[int, int, bool]:
        """`claim` as part of a larger decision: (payments, points, whether it was claimed before)."""
        member = _active(tx.connection, who).id
        theirs = people.ids(tx.connection, member)
        row = reads.payment_of_claim(tx.connection, code)
        if row is None:
            raise NotFound(
                "no points wait under this code", fix="read it again from the paper, digit by digit"
            )
        if row.state == PaymentState.REVERSED and row.holder not in theirs:
            raise Refused("this purchase was undone: no points wait", fix="vafa why " + row.ref)
        if row.state != PaymentState.WAITING:
            account = slip_account(tx, row.holder) if row.holder not in theirs else None
            if account is not None:
                tx.post(events.Merge(member, account.id, OWN_WORD, "claim"))
                return account.visits, account.balance, False
            if row.holder not in theirs:
                raise Refused("these points were claimed by another member", fix="vafa why " + row.ref)
            return 0, 0, True
        rows = reads.waiting_payments(tx.connection, row.holder) if row.holder else [row]
        if claiming.by_rules(tx, rows):
            points = claiming.claim(tx, member, code, rows, by)
        else:
            parts = cls._parts(tx, member, rows)
            tx.post(events.Claim(member, code, row.holder, parts, by))
            points = sum(part.points_in for part in parts)
        cls._bind_strong(tx, member, row, by)
        return len(rows), points, False

    @staticmethod
    def _bind_strong(tx: Transaction, member: bytes, row: PaymentRow, by: str) -> None:
        """Whoever held the slip of a card that is known by its hash owns the card, unless somebody does."""
        if is_strong(row.holder) and not reads.members_of_token(tx.connection, row.holder):
            tx.post(events.Bind(member, row.holder, by))

    @staticmethod
    def _parts(tx: Transaction, member: bytes, rows: list[PaymentRow]) -> tuple[events.Claimed, ...]:
        """The waiting payments regrouped by programme version, oldest version first."""
        holder = tx.find(MemberRow, (member,))
        assert holder is not None
        carry = Carry(holder.carry)
        groups: dict[bytes, list[tuple[PaymentRow, events.Award]]] = {}
        for row in rows:
            award = reads.entry(tx.connection, row.seq).event
            assert isinstance(award, events.Award)
            groups.setdefault(award.programme, []).append((row, award))
        parts = []
        for programme, members in groups.items():
            left = [earning.left(award, row.amount - row.refunded) for row, award in members]
            total = sum((each.contribution for each in left), Fraction(0))
            contribution = (total.numerator, total.denominator)
            before = carry.of(programme)
            parts.append(
                events.Claimed(
                    programme,
                    tuple(row.key for row, _ in members),
                    sum(each.eligible for each in left),
                    contribution,
                    before,
                    floor_sum((0, 1), contribution),
                    floor_sum(before, contribution),
                )
            )
        return tuple(parts)

    def _opened(self, closed: "list[Closed]") -> list[MemberView]:
        """The views with what is sealed of them; without it where nobody can open it now (the log says why).

        For points are told, and a claim that is committed is answered, also without a name.
        """
        sealed = [(bytes.fromhex(view.id), each) for view, each in closed if each is not None]
        try:
            people = iter(self.sealer.opened(sealed))
        except SealingFailed as failure:
            log.warning("names not opened", code=failure.code, reason=str(failure))
            return [view for view, _ in closed]
        return [view if each is None else _told(view, next(people) or _unreadable()) for view, each in closed]


def _closed(connection: sqlite3.Connection, member: bytes) -> Closed:
    """A member without what is sealed of them, and that. NotFound."""
    row = _active(connection, member)
    columns = connection.execute(_SEALED, (row.id,)).fetchone()
    view = member_view(connection, row, last4_masked(row.last4), "")
    return view, None if columns is None else SealedPerson(*columns)


def _is_sealed(connection: sqlite3.Connection, member: bytes) -> bool:
    return connection.execute(_SEALED, (member,)).fetchone() is not None


def slip_account(tx: Transaction, holder: bytes) -> MemberRow | None:
    """The row of an id that no phone leads to: points of a slip whose claim code was used without one.

    None for whoever told a phone, and for an account that a phone has claimed.
    """
    row = tx.find(MemberRow, (holder,)) if len(holder) == MEMBER_ID_BYTES else None
    if row is None or row.last4 or row.state != MemberState.ACTIVE:
        return None
    return row if people.root(tx.connection, holder) == holder else None


def _unreadable() -> Person:
    raise unopened()


def _told(view: MemberView, person: Person) -> MemberView:
    return msgspec.structs.replace(view, phone=phone_masked(person.phone), name=person.name)


def the_sale(connection: sqlite3.Connection, text: str) -> reads.Entry:
    """The one sale a person means. NotFound when there is none, Refused when there are several."""
    found = reads.find_sale(connection, text)
    if not found:
        raise NotFound(
            f"no sale is known here by {text!r}",
            fix="try the RRN, the trace number or our number on the slip",
        )
    if len(found) > 1:
        device = reads.device(connection)
        assert device is not None
        numbers = ", ".join(device.short_number(e.row.epoch, e.row.seq) for e in found)
        raise Refused(f"{text!r} could mean {len(found)} sales: {numbers}", fix="say which, by its number")
    return found[0]


def checked_phone(text: str) -> str:
    """E.164, or Refused with what is expected. The number itself is never repeated in the message."""
    phone = phone_e164(text)
    if phone is None:
        raise Refused("that is no mobile number", fix="eleven digits that begin with 09, Persian or Latin")
    return phone


def _active(connection: sqlite3.Connection, member: bytes) -> MemberRow:
    row = _row(connection, member)
    if row is None or row.state != MemberState.ACTIVE:
        raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
    return row


def _row(connection: sqlite3.Connection, member: bytes) -> MemberRow | None:
    return people.acting(connection, member)


def _id_of_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused("give a phone, its last four digits, or a member id") from None
