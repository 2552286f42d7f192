"""From an outcome to the paper: joins what the ledger says with the receipt's content model."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from vafa.app.offer_words import Told
from vafa.app.outcome import OF_AN_UNDOING, Outcome
from vafa.app.redeem_words import Redeemed as Taken
from vafa.app.sales import Asked
from vafa.app.undo import Undoing, Undone
from vafa.club.lots import is_soon, last_valid_day
from vafa.club.programme import Programme
from vafa.club.rewards import next_reward, reward_of
from vafa.model.calendar import local_time
from vafa.model.events import KnownBy, Nothing
from vafa.model.money import Currency
from vafa.receipt import terminal, words
from vafa.receipt.page import Letterhead, Page, page
from vafa.receipt.slip import (
    CameBack,
    Held,
    Known,
    Lapsing,
    Message,
    NextReward,
    Number,
    OfferBack,
    OfferOpen,
    OfferUsed,
    OwnBalance,
    Pending,
    Redeemed,
    Shop,
    Slip,
    slip_for_award,
    slip_for_claw_back,
    slip_for_nothing,
    slip_for_promise,
    slip_for_redemption,
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
        has_offer = any(each.how == "open" for each in outcome.offers)  # one message on a paper
        return slip_for_award(
            self._shop,
            outcome.amount,
            outcome.points,
            known,
            balance=balance,
            claim=outcome.claim,
            number=outcome.number,
            check=outcome.check,
            message=self._message(outcome.member) if known is Known.MEMBER and not has_offer else None,
            held=self._held(outcome),
            in_new_rial=outcome.currency == Currency.RIAL_NEW,
        )

    def _held(self, outcome: Outcome) -> tuple[Held, ...]:
        """What was redeemed for this payment, and how the member's points stand after it."""
        told: list[Held] = [*self._offers(each.offer for each in outcome.redeemed if each.offer)]
        told += self._offers(outcome.offers)
        for spent in outcome.redeemed:
            reward = reward_of(self._programmes.by_id(spent.programme), spent.reward)
            if reward is not None:
                told.append(Redeemed(spent.points, reward.name_fa, reward.name_en))
        at = outcome.paid_at if outcome.paid_at is not None else outcome.at_ms // 1000
        usable = outcome.balance or 0
        if outcome.pending_at > at and outcome.points > 0:
            told.append(Pending(outcome.points, local_time(outcome.pending_at, self._zone).date()))
            usable -= outcome.points
        points, lapses_at = outcome.lapsing
        if points and is_soon(lapses_at, at, self._zone):
            told.append(Lapsing(points, last_valid_day(lapses_at, self._zone)))
        rewards = self._programmes.by_id(outcome.programme).rewards if outcome.programme else ()
        next_one = next_reward(rewards, usable)
        if next_one is not None:
            reward, missing = next_one
            told.append(NextReward(reward.name_fa, missing, reward.name_en))
        return tuple(told)

    def _offers(self, told: Iterable[Told]) -> Iterator[OfferUsed | OfferOpen | OfferBack]:
        """The lines of offers."""
        for each in told:
            match each.how:
                case "used":
                    yield OfferUsed(each.fa, each.en)
                case "back":
                    yield OfferBack(each.fa, each.en)
                case _:
                    yield OfferOpen(each.fa, each.en, each.last_day(self._zone))

    def redeemed_slip(self, done: Taken) -> Slip:
        """The slip of a capture or return; none of a hold, which the payment may still undo."""
        if done.state not in ("captured", "returned"):
            return Slip()
        moved: Redeemed | CameBack | OfferUsed | OfferBack = Redeemed(done.points, done.name_fa, done.name_en)
        if done.offer:
            used = done.state == "captured"
            moved = (OfferUsed if used else OfferBack)(done.name_fa, done.name_en)
        elif done.came_back or (done.stamps and done.state == "returned"):
            moved = CameBack(done.came_back, done.name_fa, done.name_en)
        return slip_for_redemption(
            self._shop, moved, balance=done.balance, number=done.number, check=done.check
        )

    def redeemed_lines(self, done: Taken, lang: str | None = None) -> tuple[str, ...]:
        """The lines of a redemption's slip."""
        return words.text(self.redeemed_slip(done), lang or self.lang, self._zone)

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
            returned=undone.returned,
            held=tuple(self._offers(undone.offers)),
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
