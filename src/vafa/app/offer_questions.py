"""What the control socket is asked about offers, and answers. Types only, as in `questions`."""

from typing import Annotated

from msgspec import Meta, Struct

from vafa.app.message import Reference
from vafa.app.question import Question, Reason, Reply, Text
from vafa.model.money import AMOUNT_MAX

OFFERS_MAX = 500
Days = Annotated[int, Meta(ge=0, le=400)]
Percent = Annotated[int, Meta(ge=0, le=10_000)]
Rials = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]


class OwnOffer(Struct, frozen=True):
    """An offer that no template describes. Per cent, points and rials as in a programme's [offer.NAME]."""

    name_fa: Annotated[str, Meta(min_length=1, max_length=40)]
    name_en: Annotated[str, Meta(max_length=40)] = ""
    extra: Percent = 0
    points: Annotated[int, Meta(ge=0, le=10**9)] = 0
    discount: Rials = 0
    percent_off: Annotated[int, Meta(ge=0, le=100)] = 0
    max_discount: Rials = 0
    at_least: Rials = 0


class OfferGive(Question, frozen=True, tag="offer give"):
    """Give the member with `phone` an offer, or (a part at a time) the members of a segment.

    template  an [offer.NAME] of the programme in force; or `own`
    days      after the first, 0: as the template says; from_day: the first, '' today
    request   its identity: repeated, it gives nobody anything more
    after     a segment's members after this one, in hex
    """

    request: Reference
    phone: Text = ""
    segment: Text = ""
    template: Text = ""
    own: OwnOffer | None = None
    days: Days = 0
    from_day: Text = ""
    why: Annotated[str, Meta(max_length=200)] = ""
    after: Text = ""
    only_show: bool = False


class OfferList(Question, frozen=True, tag="offer list"):
    """A member's offers, open or not; without `who` everybody's open ones. The newest first."""

    who: Text = ""


class OfferShow(Question, frozen=True, tag="offer show"):
    """One offer, by its id or the beginning of it."""

    offer: Text


class OfferWithdraw(Question, frozen=True, tag="offer withdraw"):
    """End an open offer; `why` is journalled."""

    offer: Text
    why: Reason
    only_show: bool = False


class OfferLine(Struct, frozen=True):
    """An offer as it stands; times are ISO, '' for none.

    name      its template's, or "offer"; brings: in words; state: open, used, lapsed, withdrawn ...
    member    who holds it, in hex
    by, why   who gave it; `rule` and which rule, where one did
    number    our number of the row that used or ended it, '' while it is open
    """

    offer: str
    member: str
    name: str
    name_fa: str
    name_en: str
    brings: str
    state: str
    given: str
    from_: str
    until: str
    by: str
    why: str
    number: str = ""


class MemberOffer(Struct, frozen=True):
    """An open offer beside a member."""

    offer: str
    name: str
    name_fa: str
    brings: str
    from_: str
    until: str


class OfferIs(Reply, frozen=True, tag="offer"):
    """One offer. done: False where it was only to be shown; seen_before: this was done before."""

    offer: OfferLine
    done: bool = True
    seen_before: bool = False


class OffersAre(Reply, frozen=True, tag="offers"):
    """Offers, the newest first; `more` than are listed."""

    offers: tuple[OfferLine, ...]
    more: bool = False


class OffersGiven(Reply, frozen=True, tag="offers given"):
    """A part of a segment. before: had it by this request; full: hold too many; next: ask again after this
    member, '' at the end."""

    offers: int
    before: int
    full: int
    next: str
    done: bool


AnyOfferQuestion = OfferGive | OfferList | OfferShow | OfferWithdraw
AnyOfferReply = OfferIs | OffersAre | OffersGiven
