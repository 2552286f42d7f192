"""Bugs planted in who somebody is, and in how many offers anybody may hold."""

from typing import Any

import pytest
from msgspec.structs import replace
from planting import Bug, Patch, instead

from vafa.app import granting, members, offering, profiles, redeeming
from vafa.app.counter import Counter
from vafa.books import apply as book_apply
from vafa.books import rules as book_rules
from vafa.books.effect import Change
from vafa.books.rows import MemberRow, MemberState, TokenRow
from vafa.ledger import people, reads
from vafa.model import events

ADDED = {"stacking": "add", "cap_payment": 0, "cap_day": 0, "budget": 0}
PEOPLE = {"theme": "people"}
FREE = {"min_balance": 0, "per_day": 0, "pending_hours": 0, "pending_days": 0}
LONG = {"extra": 100, "valid_days": 60}
SORRY = ("w-sorry", {"grant": "returned", **LONG})
FULL = {
    "theme": "full", **ADDED, "unit": 1,
    "offers": (
        ("o-hand", {"grant": "by-hand", **LONG}),
        ("r-rule", {"grant": "visit", "visit": 2, "repeat": True, **LONG}),
    ),
    "segments": (("few", {"visits_at_least": 1}), ("some", {"visits_below": 9})),
}  # fmt: skip


class _Anybody:
    """Every state is this one."""

    ACTIVE = property(lambda self: self)

    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def _by_the_books(event: type[events.Event], wrong: Any) -> Patch:
    """The rule of an event in the books, told wrong."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(book_apply._RULES, event, wrong(book_apply._RULES[event]))

    return patch


def _begins_anew(right: Any) -> Any:
    def wrong(event: events.Enrol, seq: int, state: Any, till: Any) -> Any:
        done = right(event, seq, state, till)
        (change,) = done.changes
        if change.old is None:
            return done
        blank = MemberRow(event.member, change.new.state, event.last4, change.old.joined_seq)
        return replace(done, changes=(Change(change.old, replace(blank, balance=change.old.balance)),))

    return wrong


def _first_of_family(right: Any) -> Any:
    def wrong(tx: Any, token: bytes) -> Any:
        return dict(list(right(tx, token).items())[:1])

    return staticmethod(wrong)


def _each_id(_right: Any) -> Any:
    def wrong(tx: Any, token: bytes) -> Any:
        return {row.id: (row, True) for row, _ in people.of_card(tx.connection, token)}

    return staticmethod(wrong)


def _card_first(right: Any) -> Any:
    def wrong(self: Any, tx: Any, member: bytes, hint: Any, card: bytes = b"") -> Any:
        by_card = right(self, tx, b"", hint, card)
        return by_card if by_card.known_by is events.KnownBy.CARD else right(self, tx, member, hint, card)

    return wrong


def _takes_the_card(_right: Any) -> Any:
    def wrong(tx: Any, member: bytes, row: Any, by: str) -> None:
        if row.holder and tx.find(TokenRow, (row.holder, member)) is None:
            tx.post(events.Bind(member, row.holder, by))

    return staticmethod(wrong)


def _always_shared(right: Any) -> Any:
    def wrong(self: Any, who: bytes, sale: str, by: str, *, shared: bool = False) -> Any:
        return right(self, who, sale, by, shared=shared or True)

    return wrong


PLANTED_PEOPLE: dict[str, Bug] = {
    "a family's card is its first member's": Bug(instead(Counter, "_owners", _first_of_family), PEOPLE),
    "a family of one person is asked who pays": Bug(instead(Counter, "_owners", _each_id), PEOPLE, 40),
    "a card outweighs who is named": Bug(instead(Counter, "holder", _card_first), PEOPLE),
    "who claims a family's points has its card": Bug(
        instead(members.Members, "_bind_strong", _takes_the_card), PEOPLE, 40
    ),
    "a card is bound to whoever asks": Bug(
        instead(members.Members, "bind", _always_shared), PEOPLE
    ),
    "a forgotten person's cards find them": Bug(
        instead(profiles, "answering", lambda right: lambda *given: [(row, ()) for row, _ in right(*given)]),
        PEOPLE,
    ),
    "only one phone of a person is forgotten": Bug(
        instead(profiles, "answering", lambda right: lambda *given: right(*given)[:1]), PEOPLE
    ),
    "a forgotten birthday is feasted": Bug(
        instead(book_rules, "standing_forgotten", lambda _: lambda packed: packed),
        {**PEOPLE, "kinds": ("birthday",), **ADDED}, 40,
    ),
    "who was forgotten begins anew": Bug(_by_the_books(events.Enrol, _begins_anew), PEOPLE),
    "who was forgotten cannot join while another phone of theirs has": Bug(
        instead(people, "joined", lambda _: _answering), PEOPLE
    ),
    "what was forgotten is told with another phone's": Bug(
        instead(people, "owners", lambda _: _all_of_them), PEOPLE, 40
    ),
    "what was forgotten is spent by another phone": Bug(
        instead(redeeming, "_owners", lambda _: _all_of_them), {**PEOPLE, **FREE}, 40
    ),
    "a bare id is given offers": Bug(
        instead(granting, "MemberState", lambda _: _Anybody()),
        {**PEOPLE, "offers": (("o-hand", {"grant": "by-hand", **LONG}), SORRY)}, 40
    ),
    "a rule gives past the limit": Bug(instead(granting, "OPEN_MAX", lambda right: right + 1), FULL),
    "a person gives past the limit": Bug(instead(offering, "OPEN_MAX", lambda right: right + 1), FULL),
    "a person gives less than the limit": Bug(
        instead(offering, "OPEN_MAX", lambda right: right - 1), FULL
    ),
}  # fmt: skip


def _answering(connection: Any, ids: Any) -> Any:
    row = people.first_here(connection, ids)
    return row if row is not None and row.state == MemberState.ACTIVE else None


def _all_of_them(connection: Any, member: bytes) -> list[MemberRow]:
    rows = (reads.holder(connection, each) for each in people.ids(connection, member))
    return sorted((row for row in rows if row is not None), key=lambda row: row.state != MemberState.ACTIVE)
