"""What the control socket is asked about members as people, and answers. Types only, as in `questions`."""

from vafa.app.question import Question, Reason, Reply, Text


class MemberProfile(Question, frozen=True, tag="member profile"):
    """Keep what a phone's member told. None: not asked now; '' (False for consent): asked, nothing said.

    birthday  day/month; referrer: a phone; feedback: they gave their opinion just now
    """

    phone: Text
    name: Text | None = None
    birthday: Text | None = None
    consent: bool | None = None
    referrer: Text | None = None
    feedback: bool = False


class MemberForget(Question, frozen=True, tag="member forget"):
    """Forget the person with this phone; `only_show` tells what would be forgotten."""

    phone: Text
    why: Reason
    only_show: bool = False


class ForgottenIs(Reply, frozen=True, tag="forgotten"):
    """What was forgotten, or would be (`done` False): ids, cards unbound, the points that stay behind."""

    ids: int
    cards: int
    points: int
    debt: int
    done: bool


class MemberMerge(Question, frozen=True, tag="member merge"):
    """The phone `other` answers as the member with `phone` from now on; '' drops the alias `other` again."""

    other: Text
    why: Reason
    phone: Text = ""
    only_show: bool = False


class JoinedIs(Reply, frozen=True, tag="joined"):
    """Who answers as whom, or would. Ids in hex; points and debts stay where they are.

    merged  whether they are, or would be, one; seen_before: they were already
    """

    member: str
    alias: str
    balance: int
    debt: int
    other_balance: int
    other_debt: int
    merged: bool
    done: bool
    seen_before: bool = False


class MemberMove(Question, frozen=True, tag="member move"):
    """A sale (by any of its numbers) was the purchase of the member with `phone`."""

    sale: Text
    phone: Text
    why: Reason
    only_show: bool = False


class MovedIs(Reply, frozen=True, tag="moved"):
    """What moved, or would. `debt`: points the one had spent already; ids in hex."""

    from_member: str
    to_member: str
    points_out: int
    points_in: int
    debt: int
    done: bool
    seen_before: bool = False


AnyPeopleQuestion = MemberProfile | MemberForget | MemberMerge | MemberMove
