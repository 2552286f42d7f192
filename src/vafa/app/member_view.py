"""A member as people may see them: what the books tell, and what changed their points last.

The phone and the name are put in by who may open them; here they are texts that are masked already.
"""

import sqlite3

import msgspec

from vafa.app import open_offers
from vafa.app.redeem_questions import MemberValue
from vafa.app.value_view import value_view
from vafa.books.rows import MemberRow, PersonRow, TokenRow
from vafa.club.offers import Held
from vafa.ledger import people, reads
from vafa.ledger.tables import find_row
from vafa.model import events, standing
from vafa.model.calendar import birthday_text
from vafa.model.identity import TokenKind
from vafa.model.money import Currency, in_rial

HISTORY_ROWS = 10
_HISTORY = (
    events.Kind.AWARD,
    events.Kind.CLAIM,
    events.Kind.REVERSAL,
    events.Kind.REFUND,
    events.Kind.ADJUST,
    events.Kind.AWARD_MOVED,
    events.Kind.REDEMPTION,
    events.Kind.REDEMPTION_REFUND,
    events.Kind.AWARD_REFUND,
    events.Kind.EXPIRE,
)


class MemberView(msgspec.Struct, frozen=True):
    """A member as people may see them. `id` is the keyed id in hex; the phone is masked. `offers`: open ones,
    also those whose time has not come, or is over."""

    id: str
    phone: str
    name: str
    balance: int
    debt: int
    visits: int
    spent: int
    cards: tuple[str, ...]
    history: tuple["HistoryLine", ...] = ()
    created: bool = False
    person: "PersonView | None" = None
    value: MemberValue | None = None
    offers: tuple[Held, ...] = ()


class PersonView(msgspec.Struct, frozen=True):
    """What a member told of themselves beside the name.

    birthday    Jalali day/month, '' when not given; referrer: a member id in hex, '' for none
    consent_at  since when messages are welcome, UTC seconds; None: they are not
    unasked     what nobody has asked this member yet, in the order to ask
    also        other ids that answer as this member, in hex
    """

    birthday: str
    consent_at: int | None
    referrer: str
    unasked: tuple[str, ...]
    also: tuple[str, ...] = ()


class HistoryLine(msgspec.Struct, frozen=True):
    """What changed a member's points, and by how many; `amount` in today's rial. `what` says which."""

    number: str
    at_ms: int
    amount: int
    points: int
    what: str = "purchase"


ASKED = {"name": 1, "birthday": 2, "consent": 4, "referrer": 8}  # bits of Profile.fields, as asked for


def person_view(connection: sqlite3.Connection, row: MemberRow) -> PersonView:
    """What the books know of the person behind a member row."""
    told = find_row(connection, PersonRow, (row.id,)) or PersonRow(row.id)
    known = standing.unpack(row.standing)
    return PersonView(
        birthday=birthday_text(known.birthday) if known.birthday else "",
        consent_at=told.consent_at,
        referrer=known.referrer.hex(),
        unasked=tuple(name for name, bit in ASKED.items() if not told.told & bit),
        also=tuple(each.id.hex() for each in people.owners(connection, row.id) if each.id != row.id),
    )


def member_view(connection: sqlite3.Connection, row: MemberRow, phone: str, name: str) -> MemberView:
    """A person as people see them, over all their ids: points, cards, what changed last, newest first."""
    ids = people.ids(connection, row.id)
    cards = tuple(card_text(token) for each in ids for token in reads.tokens_of_member(connection, each))
    owned = people.owners(connection, row.id)
    device = reads.device(connection)
    history = []
    for each in reads.newest(connection, _HISTORY, reads.RECENT_ROWS_MAX):
        change = _change_of(each.event, ids)
        if change is not None and device:
            number = device.short_number(each.row.epoch, each.row.seq)
            amount, points, what = change
            rials = in_rial(amount, _currency(connection, each.event))
            history.append(HistoryLine(number, each.row.at, rials, points, what))
            if len(history) == HISTORY_ROWS:
                break
    return MemberView(
        row.id.hex(),
        phone,
        name,
        sum(each.balance for each in owned),
        sum(each.debt for each in owned),
        sum(each.visits for each in owned),
        sum(each.spent for each in owned),
        cards,
        tuple(history),
        person=person_view(connection, row),
        value=value_view(connection, owned),
        offers=tuple(each for owner in owned for each in open_offers.of_member(connection, owner)),
    )


def _currency(connection: sqlite3.Connection, event: events.Event) -> int:
    """The rial that an event's amount is in: of what goes back that of its sale."""
    if isinstance(event, events.Reversal | events.Refund):
        sale = reads.payment(connection, event.key)
        assert sale is not None, "what goes back was paid"
        return reads.paid_of(reads.entry(connection, sale.seq).event).currency
    return event.paid.currency if isinstance(event, events.Award) else Currency.RIAL_CURRENT


def _change_of(  # noqa: PLR0911 - a table, a kind a line
    event: events.Event, ids: list[bytes]
) -> tuple[int, int, str] | None:
    """(rials, points, what) where the event changed the points of one of these ids."""
    match event:
        case events.Award(holder=holder) if holder in ids:
            return event.paid.amount, event.points, "purchase"
        case events.Claim() if event.member in ids:
            parts = event.parts
            return sum(part.eligible for part in parts), sum(part.points_in for part in parts), "claim"
        case events.Reversal(holder=holder) if holder in ids:
            return event.amount, -event.points, "void"
        case events.Refund(holder=holder) if holder in ids:
            return event.amount, -event.points, "refund"
        case events.Adjust(holder=holder) if holder in ids:
            return 0, event.points, "adjustment"
        case events.Redemption(holder=holder) if holder in ids:
            return event.amount, -event.points, "redeemed"
        case events.RedemptionRefund(holder=holder) | events.AwardRefund(holder=holder) if holder in ids:
            return 0, event.points, "redemption came back"
        case events.Expire(holder=holder) if holder in ids:
            return 0, -event.points, "lapsed"
        case events.AwardMoved(from_holder=holder) if holder in ids:
            return 0, -event.points_out, "moved to another member"
        case events.AwardMoved(to_holder=holder) if holder in ids:
            return 0, event.points_in, "moved here"
        case _:
            return None


def card_text(token: TokenRow) -> str:
    """How a bound card is called: its kind and four hex digits of its token, never a card number."""
    kind = "card" if token.token[0] == TokenKind.CARD_HASH else "hint"
    return f"{kind} {token.token[-2:].hex()}"
