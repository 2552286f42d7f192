"""The arithmetic of a sale's points in words: derived anew from the journal, told by the shop's own names.

A step names tiers, stamp cards, offers and bonuses by their ids in the programme document. Customers read
what the shop calls them; of a bonus, which has no name there, Persian tells what it is for.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction

from vafa.app import open_offers
from vafa.app.programmes import parsed
from vafa.app.recheck import arithmetic
from vafa.books.rows import OfferRow
from vafa.club.explain import Code, Step
from vafa.club.programme import Programme
from vafa.ledger import reads
from vafa.ledger.reads import Entry
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.events import Kind
from vafa.receipt import wording, words
from vafa.receipt.catalogue import say
from vafa.receipt.numerals import identifier, number

Names = dict[tuple[Code, str], str]  # what the shop calls the thing of an id
Decided = events.Award | events.PaymentSeen
ProgrammeOf = Callable[[bytes], Programme]


class Explaining:
    """Programmes and their names are read once. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[bytes, Programme] = {}
        self._names: dict[tuple[bytes, str], Names] = {}

    def steps(self, event: Decided) -> tuple[tuple[Step, ...], str]:
        """(steps, '') or ((), what does not agree)."""
        offers = open_offers.offers_spent(self._connection, event)
        found = arithmetic(event, self._programme, offers)
        return ((), found) if isinstance(found, str) else (found, "")

    def lines(self, event: Decided, steps: Iterable[Step], lang: str) -> list[str]:
        """Steps of `event` in words."""
        names = self._names_of(event, lang)
        return [words.step(step.code, _called(step, names), lang) for step in steps]

    def claimed(self, claim: Entry, paid: Entry, lang: str) -> tuple[list[str], str]:
        """(what the claim made of a payment that waited, and how; what of it does not agree).

        By the rate alone the contributions of all that waited are added up; rules earn each purchase anew.
        """
        assert isinstance(claim.event, events.Claim)
        key, award = reads.paid_of(paid.event).key, claim.event.award
        part = next(part for part in claim.event.parts if key in part.keys)
        head = say(
            lang,
            "claimed with code {code}: {purchases} purchase(s) brought {points} points, "
            "as if a member from the start",
            code=identifier(claim.event.code, lang),
            purchases=number(len(part.keys), lang),
            points=number(part.points_in, lang),
        )
        if award is not None:
            steps, mismatch = self.steps(award)
            return [head, *self.lines(award, steps, lang)], mismatch
        carry, contribution = Fraction(*part.carry), Fraction(*part.contribution)
        if not carry:
            return [head], ""
        return [head, words.step(Code.SUM, (carry, contribution, carry + contribution), lang)], ""

    def _programme(self, version: bytes) -> Programme:
        if version not in self._known:
            self._known[version] = parsed(self._connection, version)
        return self._known[version]

    def _names_of(self, event: Decided, lang: str) -> Names:
        if not event.programme:
            return {}
        if (event.programme, lang) not in self._names:
            self._names[event.programme, lang] = _names(self._programme(event.programme), lang)
        names = self._names[event.programme, lang]
        spent = event.offers if isinstance(event, events.Award) else ()
        return names | self._offers(spent, lang) if spent else names

    def _offers(self, spent: tuple[bytes, ...], lang: str) -> Names:
        """Offers keep the name they were given under."""
        found: Names = {}
        for offer in spent:
            row = find_row(self._connection, OfferRow, (offer,))
            if row is not None:
                brings = open_offers.brings(open_offers.given(self._connection, row))
                name = brings.en if lang == "en" and brings.en else brings.fa
                found |= {(code, brings.name): name for code in (Code.OFFER, Code.OFFER_POINTS)}
        return found


def explain_all(connection: sqlite3.Connection) -> tuple[int, str]:
    """(payments whose every step could be said in both languages, the first that could not be; '' if all).

    A payment that waited and was claimed under rules is told twice: as it waited, and as it was claimed.
    """
    explaining, count = Explaining(connection), 0
    for entry in reads.entries(connection, 0, (Kind.AWARD, Kind.PAYMENT, Kind.CLAIM)):
        event = entry.event.award if isinstance(entry.event, events.Claim) else entry.event
        if event is None:
            continue
        assert isinstance(event, events.Award | events.PaymentSeen)
        steps, mismatch = explaining.steps(event)
        if mismatch:
            return count, f"journal {entry.row.seq}: {mismatch}"
        for lang in ("fa", "en"):
            explaining.lines(event, steps, lang)
        count += not isinstance(entry.event, events.Claim)
    return count, ""


def _names(programme: Programme, lang: str) -> Names:
    kinds = Counter(bonus.kind for bonus in programme.bonuses)
    names: Names = {}
    for entries, code in ((programme.tiers, Code.TIER), (programme.stamps, Code.STAMP)):
        for each in entries:
            names[code, each.id] = each.name_en if lang == "en" and each.name_en else each.name_fa
    for bonus in programme.bonuses if lang == "fa" else ():
        what_for = say(lang, wording.BONUSES[bonus.kind])
        name = what_for if kinds[bonus.kind] == 1 else f"{what_for} {bonus.id}"
        names |= {(code, bonus.id): name for code in (Code.BONUS, Code.BONUS_POINTS)}
    return names


def _called(step: Step, names: Names) -> tuple[int | Fraction | str, ...]:
    first = step.values[0] if step.values else None
    if not isinstance(first, str) or (step.code, first) not in names:
        return step.values
    return names[step.code, first], *step.values[1:]
