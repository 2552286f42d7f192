"""Single-use offers: what one brings, when it is good, which of several a purchase uses.

An offer that brings points is used by the purchase that follows it, without anybody asking; one that takes
money off goes the way of a redemption: set aside before the payment, spent after it. What an offer brings is
told by itself, in a document of its own, so it stays what was promised whatever the programme becomes.

Of several that bring points a purchase uses one: that of the highest priority, then the one that ends first.
Where bonuses do not add up (`best`, `exclusive`) each of them may be the one that counts. An offer that the
caps leave nothing of is not used up.

Source: LOYALTY.md §1.
"""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from hashlib import blake2b

import msgspec
from msgspec import Struct

from vafa.club.bonuses import Gain
from vafa.club.earn import Circumstances, Earned, earn
from vafa.club.programme import OfferTemplate, Programme
from vafa.club.windows import day_start, local
from vafa.model.events import Nothing

ID_BYTES = 8
OPEN_MAX = 20  # of one member: more is a mistake of a rule, or of a script
BY_HAND = "by hand "  # no rule is called so
_FOREVER = 2**62


class Brings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an offer brings, and for which purchase (`at_least`, minor units). `name`: the template's."""

    name: str
    fa: str
    en: str = ""
    extra: int = 0
    points: int = 0
    discount: int = 0
    percent_off: int = 0
    max_discount: int = 0
    at_least: int = 0
    priority: int = 0

    @property
    def takes_money_off(self) -> bool:
        """True for what goes the way of a redemption."""
        return bool(self.discount or self.percent_off)

    def called(self, lang: str) -> str:
        """What the paper calls it."""
        return self.en if lang == "en" and self.en else self.fa


class Held(Struct, frozen=True):
    """An open offer somebody holds, good from `from_at` to before `until` (UTC seconds; None: no end)."""

    id: bytes
    brings: Brings
    from_at: int | None
    until: int | None

    def good_at(self, at: int) -> bool:
        """True when a UTC second lies in its window."""
        return (self.from_at is None or self.from_at <= at) and (self.until is None or at < self.until)

    @property
    def ends(self) -> tuple[int, bytes]:
        """What is told and used first: what ends first."""
        return (_FOREVER if self.until is None else self.until), self.id


_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Brings)


def brings(template: OfferTemplate) -> Brings:
    """What an offer of this template brings."""
    return Brings(
        name=template.id,
        fa=template.name_fa,
        en=template.name_en,
        extra=template.extra,
        points=template.points,
        discount=template.discount,
        percent_off=template.percent_off,
        max_discount=template.max_discount,
        at_least=template.at_least,
        priority=template.priority,
    )


def document(what: Brings) -> str:
    """The text events.Offer carries."""
    return _encoder.encode(what).decode()


def told(text: str) -> Brings:
    """What an offer's document says. ValueError when it is none."""
    return _decoder.decode(text)


def identity(holder: bytes, name: str, occasion: int) -> bytes:
    """The id of the offer of a rule for a member on one occasion: given a second time, it is the same one."""
    digest = blake2b(digest_size=ID_BYTES, person=b"vafa offer")
    digest.update(b"%b %d %b" % (name.encode(), occasion, holder))
    return digest.digest()


def window(at: int, valid_days: int, zone: str) -> tuple[int, int]:
    """(from, until) of an offer given at a UTC second: through the so many-th local day after that day."""
    last_day = local(at, zone).date() + timedelta(days=valid_days)
    return at, day_start(last_day + timedelta(days=1), zone)


def template_of(programme: Programme, name: str) -> OfferTemplate | None:
    """The template a programme calls so."""
    return next((each for each in programme.offers if each.id == name), None)


def gain(offer: bytes, what: Brings) -> Gain:
    """What an offer adds to the purchase that uses it."""
    return Gain(what.name, Fraction(what.extra, 100), what.points, what.priority, offer=offer)


def for_sale(programme: Programme, held: Sequence[Held], at: int, amount: int) -> tuple[Gain, ...]:
    """The gains a sale of `amount` (in current rial) at a UTC second may use of these offers."""
    good = [
        each
        for each in held
        if (each.brings.extra or each.brings.points) and each.good_at(at) and amount >= each.brings.at_least
    ]
    good.sort(key=lambda each: (-each.brings.priority, *each.ends))
    if programme.stacking not in ("best", "exclusive"):
        good = good[:1]
    return tuple(gain(each.id, each.brings) for each in good)


def earn_with(
    programme: Programme,
    amount: int,
    currency: int,
    is_sale: bool,  # noqa: FBT001  (a fact of the payment, no switch)
    carry: Fraction,
    around: Circumstances,
) -> Earned | Nothing:
    """`earn`, where an offer that brings nothing more is not used up."""
    earned = earn(programme, amount, currency, is_sale, carry, around)
    if not isinstance(earned, Earned) or not earned.offers:
        return earned
    without = earn(programme, amount, currency, is_sale, carry, _without_offers(around))
    in_vain = isinstance(without, Earned) and without.contribution == earned.contribution
    return without if in_vain else earned


def money_off(what: Brings, bill: int) -> int:
    """The rial an offer takes off a bill, rounded down to a whole one; 0 where the bill is too small."""
    if bill < what.at_least:
        return 0
    off = what.discount or bill * what.percent_off // 100
    return min(off, what.max_discount or off, bill)


def _without_offers(around: Circumstances) -> Circumstances:
    return msgspec.structs.replace(around, offers=())
