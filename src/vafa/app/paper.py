"""From an outcome to the paper: joins what the ledger says with the receipt's content model."""

from collections.abc import Callable
from typing import Protocol

from vafa.app.outcome import OF_AN_UNDOING, Outcome
from vafa.app.sales import Asked
from vafa.app.undo import Undoing, Undone
from vafa.club.programme import Programme
from vafa.model.events import KnownBy, Nothing
from vafa.receipt import terminal, words
from vafa.receipt.page import Letterhead, Page, page
from vafa.receipt.slip import (
    Known,
    Message,
    Number,
    OwnBalance,
    Shop,
    Slip,
    slip_for_award,
    slip_for_claw_back,
    slip_for_nothing,
    slip_for_promise,
)

_KNOWN = {
    KnownBy.NOBODY: Known.UNKNOWN,
    KnownBy.PHONE: Known.MEMBER,
    KnownBy.CARD: Known.MEMBER,
    KnownBy.HINT: Known.HINT,
}


class Versions(Protocol):
    """Programme versions by id: the daemon's, or those a read-only connection finds."""

    def by_id(self, programme: bytes) -> Programme:
        """The version an award names."""
        ...


class Paper:
    """The shop's paper: its name, language and zone."""

    def __init__(
        self,
        name_fa: str,
        name_en: str,
        lang: str,
        zone: str,
        programmes: Versions,
        letterhead: Letterhead | None = None,
        message: Callable[[bytes], Message | None] = lambda _holder: None,
    ) -> None:
        """`message`: what the hub has for a member's slip."""
        self.shop = name_fa or name_en
        self.lang = lang
        self._shop = Shop(name_fa or name_en, name_en)
        self._zone = zone
        self._programmes = programmes
        self._letterhead = letterhead
        self._message = message

    def slip(self, outcome: Outcome) -> Slip:
        """What the slip of a payment says."""
        known = _KNOWN[outcome.known_by]
        balance = OwnBalance(outcome.balance) if outcome.balance is not None else None
        if outcome.why == OF_AN_UNDOING:
            return Slip()
        if outcome.result == "nothing":
            minimum = self._programmes.by_id(outcome.programme).minimum if outcome.programme else 0
            why = Nothing[outcome.why.upper()]
            return slip_for_nothing(
                self._shop, why, known, minimum=minimum, balance=balance, number=outcome.number
            )
        return slip_for_award(
            self._shop,
            outcome.amount,
            outcome.points,
            known,
            balance=balance,
            claim=outcome.claim,
            number=outcome.number,
            check=outcome.check,
            message=self._message(outcome.member) if known is Known.MEMBER else None,
        )

    def lines(self, outcome: Outcome, lang: str | None = None) -> tuple[str, ...]:
        """The slip's lines in the shop's language or `lang`."""
        return words.text(self.slip(outcome), lang or self.lang, self._zone)

    def undone_slip(self, undone: Undone) -> Slip:
        """The slip of a void or refund: what was taken back; of an unmatched one the number alone."""
        if undone.kind is Undoing.UNMATCHED:
            return Slip((Number(undone.number),))
        if undone.kind is Undoing.ADJUSTMENT:
            return Slip()
        return slip_for_claw_back(
            self._shop,
            undone.points,
            Known.HINT if undone.balance is None else Known.MEMBER,
            balance=None if undone.balance is None else OwnBalance(undone.balance),
            number=undone.number,
            check=undone.check,
        )

    def undone_lines(self, undone: Undone, lang: str | None = None) -> tuple[str, ...]:
        """The lines of an undoing's slip."""
        return words.text(self.undone_slip(undone), lang or self.lang, self._zone)

    def page(self, slip: Slip, lang: str | None = None) -> Page:
        """The slip with the merchant's own lines, for a printer."""
        return page(slip, lang or self.lang, self._zone, self._letterhead)

    def request_text(self, asked: Asked, lang: str) -> bytes:
        """Sadad's Opt6 for a sale that is about to be asked: worded "if paid", in Iran System bytes."""
        known = Known.UNKNOWN if asked.claim else Known.MEMBER
        balance = OwnBalance(asked.balance) if asked.balance is not None else None
        slip = slip_for_promise(self._shop, asked.points_promised, known, balance=balance, claim=asked.claim)
        return terminal.opt6(slip, lang, self._zone)
