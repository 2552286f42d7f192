"""Answers the control socket's questions about offers. Who asks none pays for none of what gives them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from vafa.app import offer_questions
from vafa.app.counter import Counter
from vafa.app.members import Members
from vafa.app.question import Reply
from vafa.club.offers import Brings
from vafa.ledger.ledger import Ledger
from vafa.model.errors import Refused
from vafa.model.identity import phone_e164, without_phones
from vafa.model.pan import mask_pans
from vafa.ports.clock import Clock

if TYPE_CHECKING:
    from vafa.app.offering import Given, Offering, Wish

OWN = "offer"  # the name of an offer that no template describes

log = structlog.get_logger()


class OfferDesk:
    """`handlers`: question -> who answers it, as Control wants them."""

    def __init__(self, counter: Counter, members: Members, clock: Clock) -> None:
        self._ledger: Ledger = counter.ledger
        self._tokens = counter.tokens
        self._members = members
        self._clock = clock
        self._programmes = counter.programmes
        self.handlers: dict[type[Any], Callable[[Any, str], Reply]] = {
            offer_questions.OfferGive: self._give,
            offer_questions.OfferList: self._list,
            offer_questions.OfferShow: self._show,
            offer_questions.OfferWithdraw: self._withdraw,
        }

    @property
    def _offering(self) -> "Offering":
        from vafa.app.offering import Offering

        return Offering(self._ledger, self._programmes)

    def _give(self, question: offer_questions.OfferGive, by: str) -> Reply:
        from vafa.app.offering import Wish

        if bool(question.phone) == bool(question.segment):
            raise Refused("an offer is given to a member or to a segment", fix="say one of them")
        if bool(question.template) == (question.own is not None):
            raise Refused("say which offer: a template of the programme, or what it brings")
        wish = Wish(
            self._tokens.without_pans(question.request),
            question.template,
            None if question.own is None else _checked(question.own),
            question.days,
            question.from_day,
            without_phones(mask_pans(question.why.strip())),
            by,
        )
        if question.segment:
            return self._give_segment(question, wish)
        member = self._members.known_id(question.phone)
        if question.only_show:
            return self._given(self._offering.foreseen(member, wish, self._now()), done=False)
        given = self._offering.give(member, wish)
        if not given.seen_before:
            log.info("offer given", offer=given.event.offer.hex(), by=by)
        return self._given(given, done=True)

    def _give_segment(self, question: offer_questions.OfferGive, wish: "Wish") -> Reply:
        try:
            after = bytes.fromhex(question.after)
        except ValueError:
            raise Refused("a segment goes on after a member's id in hex") from None
        act = self._offering.foreseen_segment if question.only_show else self._offering.give_segment
        part = act(question.segment, wish, after)
        return offer_questions.OffersGiven(
            offers=part.offers,
            before=part.before,
            full=part.full,
            next=part.next.hex(),
            done=not question.only_show,
        )

    def _list(self, question: offer_questions.OfferList, _by: str) -> Reply:
        from vafa.app import offer_reads

        member = _member_id(self._members, question.who) if question.who else b""
        now = self._now()
        return self._ledger.read(lambda connection: offer_reads.listed(connection, member, now))

    def _show(self, question: offer_questions.OfferShow, _by: str) -> Reply:
        from vafa.app import offer_reads

        now = self._now()
        return self._ledger.read(lambda connection: offer_reads.shown(connection, question.offer, now))

    def _withdraw(self, question: offer_questions.OfferWithdraw, by: str) -> Reply:
        from vafa.app import offer_reads
        from vafa.app.offering import found

        name = self._ledger.read(lambda connection: found(connection, question.offer)).offer
        if question.only_show:
            _, seen_before = self._offering.foreseen_withdrawal(name)
        else:
            why = without_phones(mask_pans(question.why.strip()))
            _, seen_before = self._offering.withdraw(name, why, by)
            log.info("offer withdrawn", offer=name.hex(), by=by)
        line = self._ledger.read(lambda connection: offer_reads.line_of(connection, name, self._now()))
        return offer_questions.OfferIs(offer=line, done=not question.only_show, seen_before=seen_before)

    def _given(self, given: "Given", *, done: bool) -> Reply:
        from vafa.app import offer_reads

        if done or given.seen_before:
            name = given.event.offer
            line = self._ledger.read(lambda connection: offer_reads.line_of(connection, name, self._now()))
        else:
            line = offer_reads.planned(given.event, self._now())
        return offer_questions.OfferIs(offer=line, done=done, seen_before=given.seen_before)

    def _now(self) -> int:
        return self._clock.wall_ms() // 1000


def _member_id(members: Members, who: str) -> bytes:
    """The member of a phone, or of an id in hex. NotFound, Refused."""
    if phone_e164(who):
        return members.known_id(who)
    try:
        return bytes.fromhex(who.strip())
    except ValueError:
        raise Refused("give a phone or a member id", fix="vafa member find LAST-FOUR-DIGITS") from None


def _checked(own: offer_questions.OwnOffer) -> Brings:
    """What an offer without a template brings: the programme's own rules for one hold. Refused."""
    in_points, in_rial = own.extra or own.points, own.discount or own.percent_off
    if not (in_points or in_rial):
        raise Refused("the offer brings nothing", fix="say extra, points, discount or percent-off")
    if in_points and in_rial:
        raise Refused("an offer brings points or takes money off, not both", fix="give two offers")
    if own.discount and own.percent_off:
        raise Refused("an offer takes off rial or a percentage, not both")
    if own.max_discount and not own.percent_off:
        raise Refused("the most it takes off bounds a percentage alone", fix="say percent-off")
    if 0 < own.at_least <= own.discount:
        raise Refused("the smallest purchase must lie above what is taken off")
    name_fa, name_en = (without_phones(mask_pans(each.strip())) for each in (own.name_fa, own.name_en))
    if not name_fa or not all(each.isprintable() or each == "\u200c" for each in name_fa + name_en):
        raise Refused("the paper names the offer: one line without hidden characters")
    return Brings(
        name=OWN,
        fa=name_fa,
        en=name_en,
        extra=own.extra,
        points=own.points,
        discount=own.discount,
        percent_off=own.percent_off,
        max_discount=own.max_discount,
        at_least=own.at_least,
    )
