"""Recomputes what journal rows say from their stored inputs, under the programme of the hash they name.

The chain shows that a row was altered, unless whoever altered it computed the chain anew; the books show that
a row cannot follow the one before it. This shows that the rules never gave what the row says. It is what
`verify` calls for each row, and what `explain` and `why` print.
"""

import sqlite3
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd
from typing import TypeVar

from vafa.app import earning
from vafa.app.programmes import covering
from vafa.app.recheck_offers import OfferRecheck
from vafa.app.recheck_value import ValueRecheck
from vafa.books.effect import State
from vafa.books.rows import AliasRow, MemberRow, PaymentRow
from vafa.club import tiers
from vafa.club.bonuses import Gain
from vafa.club.explain import Mismatch, Step, derived, explain, explain_nothing
from vafa.club.programme import Programme, document, parse_stored
from vafa.keys.device_key import DeviceKey
from vafa.keys.seal import SealedPerson, Sealer, unopened, wrapping_key
from vafa.keys.tokens import KEY_ID_BYTES, Tokens
from vafa.ledger import reads
from vafa.ledger.people import STEPS_MAX
from vafa.ledger.verify import Bad
from vafa.model import events
from vafa.model.errors import VafaError
from vafa.model.events import Nothing
from vafa.model.payment import PaymentKey
from vafa.model.standing import unpack, unpack_window

T = TypeVar("T")
Arithmetic = tuple[Step, ...] | str
Look = Callable[[Programme, events.Award, Sequence[Gain]], T | Mismatch]


def arithmetic(
    event: events.Award | events.PaymentSeen,
    programme_of: Callable[[bytes], Programme],
    offers: Sequence[Gain] = (),
) -> Arithmetic:
    """The steps from the stored inputs to the stored result, or the fault that lies between them. `offers`:
    the gains of those that the award spent."""
    return _looked_at(event, programme_of, offers, explain)


def fault_in(
    event: events.Award | events.PaymentSeen,
    programme_of: Callable[[bytes], Programme],
    offers: Sequence[Gain] = (),
) -> str:
    """That fault alone, '' where there is none: millions are looked at, and nobody reads their steps."""
    found = _looked_at(event, programme_of, offers, derived)
    return found if isinstance(found, str) else ""


def _looked_at(
    event: events.Award | events.PaymentSeen,
    programme_of: Callable[[bytes], Programme],
    offers: Sequence[Gain],
    look: Look[T],
) -> T | tuple[Step, ...] | str:
    if event.paid.amount < 0:
        return f"the amount is {event.paid.amount}"
    try:
        programme = programme_of(event.programme) if event.programme else None
    except VafaError as error:
        return str(error)
    if isinstance(event, events.Award):
        found = _of_award(event, programme, offers, look)
        return str(found) if isinstance(found, Mismatch) else found
    nothing = _of_nothing(event, programme)
    return str(nothing) if isinstance(nothing, Mismatch) else nothing


def _of_award(
    event: events.Award, programme: Programme | None, offers: Sequence[Gain], look: Look[T]
) -> T | Mismatch | str:
    if programme is None:
        return "the award names no programme"
    for name in ("contribution", "carry"):
        if not _proper(getattr(event, name)):
            return f"the {name} {getattr(event, name)} is no fraction in lowest terms"
    if programme.rate_in(event.paid.currency) is None:
        return f"the programme has no rate for currency {event.paid.currency}"
    if not event.holder and (event.carry != (0, 1) or event.balance):
        return "points that wait on their payment have no carry and no balance"
    if event.at and event.at != events.instant_of_rules(event.paid, event.at):
        return f"the rules went by {event.at}, the payment was made at {event.paid.paid_at}"
    return look(programme, event, offers)


def _of_nothing(event: events.PaymentSeen, programme: Programme | None) -> tuple[Step, ...] | Mismatch | str:
    try:
        why = Nothing(event.why)
    except ValueError:
        return f"it earned nothing for a reason this Vafa does not know ({event.why})"
    if why is Nothing.BELOW_MINIMUM and programme is None:
        return "it was below the minimum of no programme"
    rated = programme is not None and programme.rate_in(event.paid.currency) is not None
    if why is Nothing.NO_PROGRAMME and rated:
        return "it earned nothing although its programme has a rate"
    return explain_nothing(programme, event.paid.amount, why, event.paid.currency)


class Recheck:
    """`verify`'s recheck: called with every event of a journal in order, from the first one on.

    Programmes are taken from their own rows as they come by, never from a table. `connection` reads the
    payments that claims and undoings name; what was undone so far is remembered from the rows.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._programmes: dict[bytes, Programme] = {}
        self._versions: list[tuple[bytes, int | None]] = []
        self._undone: dict[PaymentKey, int] = {}  # key -> rials that went back
        self._tier_since: dict[bytes, int] = {}
        self._last: events.Event | None = None  # the newest payment
        self._value = ValueRecheck(connection)
        self._offers = OfferRecheck(connection)
        self._claims: dict[PaymentKey, events.Award] = {}  # what claimed payments go by

    def __call__(self, event: events.Event, books: State) -> str:  # noqa: PLR0911 - a table
        """What is wrong with the row, '' when nothing is. `books`: after it."""
        match event:
            case events.ProgrammeActivated():
                return self._activated(event)
            case events.Award() | events.PaymentSeen():
                fault = fault_in(event, self._programme, self._offers.gains(event))
                fault = fault or self._wrong_version(event) or self._offers.untold(event)
                self._last = event
                return f"payment {event.paid.key}: {fault}" if fault else ""
            case events.TierChanged():
                return self._tier_changed(event, books)
            case events.Adjust() if event.by == earning.RULE:
                return self._by_rule(event, books)
            case events.Claim() if event.award is not None:
                return self._claimed_by_rules(event, event.award)
            case events.Claim():
                faults = (self._claimed(event.token, part) for part in event.parts)
                return next((fault for fault in faults if fault), "")
            case events.Reversal() | events.Refund():
                fault = self._undoing(event)
                return f"undoing of payment {event.key}: {fault}" if fault else ""
            case events.AwardMoved():
                fault = self._moved(event)
                return f"moving of payment {event.key}: {fault}" if fault else ""
            case events.Offer() | events.OfferEnded():
                return self._offers(event, books, self._programme, self._last)
            case _:
                fault = self._value(event, books, self._programme)
                return fault or self._offers(event, books, self._programme, self._last)

    def _activated(self, event: events.ProgrammeActivated) -> str:
        try:
            programme = parse_stored(event.document, "the programme's document")
        except VafaError as error:
            return str(error)
        if (programme.hash, programme.id) != (event.hash, event.programme):
            return f"the document of programme {event.programme.hex()} is not of its hash"
        if document(programme) != event.document:
            return f"the document of programme {event.programme.hex()} is not in canonical form"
        self._programmes[programme.id] = programme
        self._versions = [each for each in self._versions if each[0] != programme.id]
        self._versions.append((programme.id, event.from_at))
        return ""

    def _programme(self, programme: bytes) -> Programme:
        if programme not in self._programmes:
            raise VafaError(f"no programme {programme.hex()} was active before this row")
        return self._programmes[programme]

    def _wrong_version(self, event: events.Award | events.PaymentSeen) -> str:
        """A payment with a time of its own is under the version that covered it when it was posted."""
        at = event.paid.paid_at
        if at is None or not event.programme:
            return ""
        if event.programme == covering(self._versions, at):
            return ""
        return f"programme {event.programme.hex()} did not cover the time of the payment"

    def _tier_changed(self, event: events.TierChanged, books: State) -> str:
        """A step between tiers is what the metric in the books and the tiers of its programme give."""
        row = books.find(MemberRow, (event.member,))
        if event.programme not in self._programmes or row is None:
            return "a tier changed under no programme"
        programme, window = self._programmes[event.programme], unpack_window(row.metric)
        last = self._last
        if isinstance(last, events.Award) and (last.holder, last.at) == (event.member, event.at):
            step = tiers.upgrade(programme, event.tier_before, window, event.at)
            self._offers.went_up(last)
        else:
            since, seen = self._tier_since.get(event.member, 0), unpack(row.standing).last_at
            step = tiers.evaluated(programme, event.tier_before, since, window, seen, event.at)
        self._tier_since[event.member] = event.at
        told = tiers.Step(event.tier_before, event.tier, event.metric, event.why)
        return "" if step == told else f"tier: stored {told}, the rules give {step}"

    def _by_rule(self, event: events.Adjust, books: State) -> str:
        """Points that a rule gave follow the award of a customer whom their holder, or somebody who answers
        as them, sent."""
        last = self._last
        if not isinstance(last, events.Award) or last.programme not in self._programmes:
            return "points of a rule follow no award"
        owed = earning.owed_to_referrer(self._programmes[last.programme], last)
        due = {(f"bonus {bonus}", points) for bonus, points in owed}
        sent = _root(books, unpack(last.standing).referrer) == _root(books, event.holder)
        if sent and (event.why, event.points) in due:
            return ""
        return f"adjustment: {event.points} points of a rule are not due ({event.why})"

    def _undoing(self, event: events.Reversal | events.Refund) -> str:
        """What goes back is the undone part of what the payment's award brought, under its programme."""
        row = reads.payment(self._connection, event.key)
        award = self._in_force(row)
        if not isinstance(award, events.Award | events.PaymentSeen):
            return "there is no such payment"
        amount = award.paid.amount
        undone = self._undone.get(event.key, 0)
        self._undone[event.key] = undone + event.amount
        before = earning.left(award, amount - undone)
        after = earning.left(award, amount - undone - event.amount)
        gone = before.contribution - after.contribution
        stored: dict[str, object] = {
            "programme": event.programme.hex(),
            "eligible": event.eligible,
            "contribution": event.contribution,
        }
        computed: dict[str, object] = {
            "programme": award.programme.hex() if isinstance(award, events.Award) else "",
            "eligible": before.eligible - after.eligible,
            "contribution": (gone.numerator, gone.denominator),
        }
        if not event.holder:  # the books know the carry of every other holder
            left = before.contribution % 1
            stored["carry"], computed["carry"] = event.carry, (left.numerator, left.denominator)
        if isinstance(event, events.Reversal):
            stored["amount"], computed["amount"] = event.amount, amount - undone
        ruled = earning.with_undone_rules(event, award, amount - undone - event.amount)
        for name in ("counted", "stamps", "granted", "offers"):
            stored[name], computed[name] = getattr(event, name, None), getattr(ruled, name, None)
        for name in ("available_at", "expires_at"):
            stored[name], computed[name] = getattr(event, name), getattr(award, name, 0)
        for name, is_so in computed.items():
            if stored[name] != is_so:
                return f"{name}: stored {stored[name]}, its award gives {is_so}"
        return self._value.refunded(event, amount, undone, self._programme)

    def _moved(self, event: events.AwardMoved) -> str:
        """What moves is what is left of the payment's award."""
        row = reads.payment(self._connection, event.key)
        award = self._in_force(row)
        if not isinstance(award, events.Award):
            return "there is no award of such a payment"
        left = earning.left(award, award.paid.amount - self._undone.get(event.key, 0))
        stored = (event.programme, event.contribution, event.eligible, event.at, event.stamps, event.granted)
        computed = (
            award.programme, left.contribution.as_integer_ratio(), left.eligible, award.at, award.stamps,
            award.granted,
        )  # fmt: skip
        return "" if stored == computed else f"stored {stored}, its award gives {computed}"

    def _in_force(self, row: PaymentRow | None) -> events.Event | None:
        """What a payment's points go by at this place of the journal."""
        if row is None:
            return None
        return self._claims.get(row.key) or reads.entry(self._connection, row.seq).event

    def _claimed_by_rules(self, event: events.Claim, award: events.Award) -> str:
        """A payment claimed under rules is worth what its award says, less what went back before."""
        self._claims[award.paid.key] = award
        self._last = award
        row = reads.payment(self._connection, award.paid.key)
        first = reads.entry(self._connection, row.seq).event if row else None
        if not isinstance(first, events.Award) or (first.paid, first.holder) != (award.paid, event.token):
            return "claim: its payment did not wait there"
        fault = fault_in(award, self._programme)
        if fault:
            return f"claim of payment {award.paid.key}: {fault}"
        left = earning.left(award, award.paid.amount - self._undone.get(award.paid.key, 0))
        (part,) = event.parts
        stored = (part.programme, part.contribution, part.eligible)
        computed = (first.programme, left.contribution.as_integer_ratio(), left.eligible)
        return "" if stored == computed else f"claim: stored {stored}, its award gives {computed}"

    def _claimed(self, token: bytes, part: events.Claimed) -> str:
        """A claim takes what its payments' awards say, no more and no less."""
        total, eligible = Fraction(0), 0
        for key in part.keys:
            row = reads.payment(self._connection, key)
            award = reads.entry(self._connection, row.seq).event if row else None
            if not isinstance(award, events.Award):
                return f"claim: there is no award of payment {key}"
            if (award.programme, award.holder) != (part.programme, token):
                return f"claim: payment {key} did not wait there under this programme"
            left = earning.left(award, award.paid.amount - self._undone.get(key, 0))
            total += left.contribution
            eligible += left.eligible
        # What waits is one floor too: which award or refund had which point of it does not matter.
        stored = (part.contribution, part.eligible, part.points_out)
        computed = (total.as_integer_ratio(), eligible, total.__floor__())
        names = ("contribution", "eligible", "points_out")
        for name, told, is_so in zip(names, stored, computed, strict=True):
            if told != is_so:
                return f"claim: {name}: stored {told}, its awards give {is_so}"
        return ""


def _root(books: State, member: bytes) -> bytes:
    """The id that a member answers as."""
    for _ in range(STEPS_MAX):
        alias = books.find(AliasRow, (member,))
        if alias is None:
            break
        member = alias.member
    return member


def _proper(fraction: tuple[int, int]) -> bool:
    numerator, denominator = fraction
    return denominator > 0 and numerator >= 0 and gcd(numerator, denominator) == 1


def seal_faults(
    connection: sqlite3.Connection, key: DeviceKey, merchant_key: bytes = b""
) -> tuple[int, list[Bad]]:
    """(how many sealed phones there are, the first that is not its member's). They lie beside the journal."""
    sealer, tokens = Sealer(wrapping_key(key)), Tokens(key, merchant_key)
    rows = connection.execute(
        "SELECT member, wrapped_key, phone, name, last4 FROM secret LEFT JOIN member ON id = member "
        "ORDER BY member"
    ).fetchall()
    for member, wrapped, sealed, sealed_name, last4 in rows:
        place = f"secret {member.hex()}"
        (person,) = sealer.opened([(member, SealedPerson(wrapped, sealed, sealed_name))])
        if person is None:
            return len(rows), [Bad(place, str(unopened()))]
        ids = {each[:KEY_ID_BYTES]: each for each in tokens.member_ids(person.phone)}
        if ids.get(member[:KEY_ID_BYTES], member) != member:
            return len(rows), [Bad(place, "the sealed phone is another member's")]
        if last4 != person.phone[-4:]:
            return len(rows), [Bad(place, "the member's last four digits are not those of the sealed phone")]
    return len(rows), []
