"""A member in the local protocol's words: what a cashier may see of them."""

from vafa.app import messages
from vafa.app.member_view import MemberView
from vafa.club.offers import Held


def known(view: MemberView, now: int) -> messages.Known:
    """A member in the protocol's words: what a cashier may see at a UTC second."""
    good = sorted((each for each in view.offers if each.good_at(now)), key=lambda each: each.ends)
    return messages.Known(
        phone=view.phone,
        name=masked_name(view.name),
        balance=view.balance,
        debt=view.debt,
        visits=view.visits,
        created=view.created,
        unasked=view.person.unasked if view.person else (),
        offers=tuple(offer_in_words(each) for each in good),
    )


def masked_name(name: str) -> str:
    """The first letter of each word of a name, enough to ask 'is it you?'."""
    return " ".join(word[:1] + "…" for word in name.split())


def offer_in_words(held: Held) -> messages.MemberOffer:
    """An offer in the local protocol's words."""
    what = held.brings
    return messages.MemberOffer(
        offer=held.id.hex(),
        name=what.fa,
        name_en=what.en,
        extra=what.extra,
        points=what.points,
        discount=what.discount,
        percent_off=what.percent_off,
        max_discount=what.max_discount,
        at_least=what.at_least,
        until=held.until or 0,
    )
