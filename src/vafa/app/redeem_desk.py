"""Answers redemptions, for the local protocol and the control socket alike.

A customer is known by phone or by a ticket of `identify`, which takes a phone or the terminal's hash of the
card; whoever holds a slip spends its own points by the claim code. A card's first six and last four digits
alone never redeem.
"""

from collections.abc import Callable
from typing import Any

from vafa.app import redeem_messages as messages
from vafa.app import redeem_words, returning
from vafa.app.counter import Counter
from vafa.app.members import Members
from vafa.app.offer_holds import MoneyOff
from vafa.app.paper import Paper
from vafa.app.redeeming import Redeeming, Wish
from vafa.model.errors import Refused
from vafa.model.payment import PaymentKey, Scheme

SaleKey = Callable[[str, str], PaymentKey]  # (terminal, reference) as the sender knows a payment
Ticket = Callable[[str], bytes | None]  # whom a ticket of `identify` names


class RedeemDesk:
    """`handlers`: message -> who answers it; the second argument says who asks, for the journal.

    names_in: language of a reward's name where the request names none; None takes the paper's
    """

    def __init__(
        self,
        counter: Counter,
        members: Members,
        paper: Paper,
        sale: SaleKey,
        ticket: Ticket,
        names_in: str | None = None,
    ) -> None:
        self._counter, self._members, self._paper = counter, members, paper
        self._names_in = names_in or paper.lang
        self._sale, self._ticket = sale, ticket
        self._redeeming = Redeeming(counter)
        self.handlers: dict[type[Any], Callable[[Any, str], messages.AnyRedeemed]] = {
            messages.Quote: self._quote,
            messages.Hold: self._hold,
            messages.Capture: self._capture,
            messages.Release: self._release,
            messages.Return: self._return,
        }

    def _quote(self, asked: messages.Quote, _by: str) -> messages.Quoted:
        if asked.claim is not None:
            _alone(asked)
            quoted = self._redeeming.quotes_of_slip(asked.claim, asked.amount)
        else:
            quoted = self._redeeming.quotes(self._who(asked.member, asked.identified), asked.amount)
        lang = asked.lang or self._names_in
        return messages.Quoted(
            balance=quoted.balance,
            usable=quoted.usable,
            debt=quoted.debt,
            rewards=tuple(_reward(each, lang) for each in quoted.offered),
            offers=tuple(_offer(each, lang) for each in quoted.offers),
        )

    def _hold(self, asked: messages.Hold, by: str) -> messages.Redeemed:
        if (asked.reward is None) == (asked.offer is None):
            raise Refused("hold a reward or an offer", fix="send reward, or offer")
        member = b"" if asked.claim is not None else self._who(asked.member, asked.identified)
        name, offer = self._name(asked.request), bytes.fromhex(asked.offer or "")
        wish = Wish(name, member, asked.reward or "", asked.amount, asked.points, by, offer)
        if asked.claim is None:
            return self._told(self._redeeming.hold(wish), asked.lang)
        _alone(asked)
        return self._told(self._redeeming.hold_of_slip(wish, asked.claim), asked.lang)

    def _capture(self, asked: messages.Capture, by: str) -> messages.Redeemed:
        if (asked.terminal is None) != (asked.ref is None):
            raise Refused("a payment is named by terminal and ref, both", fix="send both, or neither")
        key = None
        if asked.terminal is not None and asked.ref is not None:
            key = self._sale(asked.terminal, asked.ref)
        done = self._redeeming.capture(self._name(asked.request), asked.applied, key, by)
        return self._told(done, asked.lang)

    def _release(self, asked: messages.Release, by: str) -> messages.Redeemed:
        return self._told(self._redeeming.release(self._name(asked.request), by), asked.lang)

    def _return(self, asked: messages.Return, by: str) -> messages.Redeemed:
        ref = PaymentKey(Scheme.REQUEST, "redeem", self._name(asked.request))
        held = self._name(asked.redemption)
        ledger, zone = self._counter.ledger, self._counter.zone
        return self._told(returning.give_back(ledger, held, ref, asked.points, by, zone), asked.lang)

    def _name(self, request: str) -> str:
        return self._counter.tokens.without_pans(request)

    def _who(self, phone: str | None, identified: str | None) -> bytes:
        """The member who redeems. Refused where nobody is known for sure: the sale goes on without it."""
        if identified is not None:
            member = self._ticket(identified)
            if member is None:
                raise Refused("this identification is too old", fix="ask for the phone again")
            return member
        if phone is None:
            raise Refused(
                "points are spent by phone, claim code or identified card; a card's mask is no proof",
                fix="ask for the phone: identify, then hold",
            )
        return self._members.known_id(phone)

    def _told(self, done: redeem_words.Redeemed, lang: str | None) -> messages.Redeemed:
        return messages.Redeemed(
            request=done.request,
            state=done.state,
            reward=done.reward,
            name=done.name(lang or self._names_in),
            number=done.number,
            check=done.check,
            points=done.points,
            rials=done.rials,
            until=done.until if done.state == "held" else 0,
            stamps=done.stamps,
            applied=done.applied,
            returned=done.returned,
            balance=done.balance,
            why=done.why,
            lines=self._paper.redeemed_lines(done, lang),
            offer=done.offer.hex(),
        )


def _alone(asked: messages.Quote | messages.Hold) -> None:
    """A claim code says whose points they are by itself."""
    if asked.member is not None or asked.identified is not None:
        raise Refused(
            "points are spent by phone, or by a claim code", fix="claim the code for the phone first"
        )


def _reward(each: redeem_words.Offered, lang: str) -> messages.RewardQuote:
    return messages.RewardQuote(
        reward=each.reward.id,
        kind=each.reward.kind,
        name=each.reward.name_en if lang == "en" and each.reward.name_en else each.reward.name_fa,
        points=each.points,
        rials=each.rials,
        stamps=each.stamps,
        why=each.no,
    )


def _offer(each: MoneyOff, lang: str) -> messages.OfferQuote:
    held = each.held
    return messages.OfferQuote(
        offer=held.id.hex(),
        name=held.brings.called(lang),
        rials=each.rials,
        until=held.until or 0,
        why=each.no,
    )
