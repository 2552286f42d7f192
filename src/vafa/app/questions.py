"""What the control socket is asked and answers: newline-delimited JSON, `do` says what, `is` says which.

Types only, so that a command that asks one question does not load what answers it. The socket's permission
is its protection: whoever may connect may read and write all of this.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from vafa.app import (
    gap_questions,
    hub_questions,
    messages,
    offer_questions,
    people_questions,
    print_questions,
    redeem_questions,
    sync_questions,
)
from vafa.app.message import Rial
from vafa.app.question import Failure, Language, Question, Reply, Text, encode
from vafa.app.status_question import GetStatus, StatusIs

__all__ = [
    "Failure",
    "GetStatus",
    "Question",
    "Reply",
    "StatusIs",
    "encode",
]  # theirs too, for whoever asks or answers
JOURNAL_ROWS_MAX = 500
POINTS_MAX = 10**12
JOURNAL_SEQ_MAX = 2**40  # no card number is a row of the journal


class Why(Question, frozen=True, tag="why"):
    """One sale as a time line. `sale`: any of its numbers, or AMOUNT@HH:MM."""

    sale: Text


class Explain(Question, frozen=True, tag="explain"):
    """The arithmetic of a sale's points."""

    sale: Text
    lang: Language = "en"


class Receipt(Question, frozen=True, tag="receipt"):
    """The paper's lines again; lang None takes the shop's."""

    sale: Text
    lang: Language | None = None


class Journal(Question, frozen=True, tag="journal"):
    """A page of events after journal row `after`, of all kinds or the named ones (`award`)."""

    after: Annotated[int, Meta(ge=0, le=JOURNAL_SEQ_MAX)] = 0
    kinds: tuple[Text, ...] = ()
    limit: Annotated[int, Meta(ge=1, le=JOURNAL_ROWS_MAX)] = JOURNAL_ROWS_MAX


class MemberAdd(Question, frozen=True, tag="member add"):
    """Enrol a phone; a phone that is enrolled already is shown."""

    phone: Text
    name: Text = ""


class MemberShow(Question, frozen=True, tag="member show"):
    """`who`: a phone, or a member id in hex."""

    who: Text


class MemberFind(Question, frozen=True, tag="member find"):
    """`text`: a phone, its last four digits, or a member id in hex."""

    text: Text


class MemberBind(Question, frozen=True, tag="member bind"):
    """Bind the card of a sale to a phone's member; `shared`: it may have other members too."""

    phone: Text
    sale: Text
    shared: bool = False


class Claim(Question, frozen=True, tag="claim"):
    """Give what waits under `code` to a phone's member."""

    code: Text
    phone: Text


class Sell(Question, frozen=True, tag="sell"):
    """Ask a terminal for a payment; answered when the sale has an end, which may be `unsure`."""

    request: messages.Reference
    amount: Annotated[int, Meta(ge=1, le=messages.AMOUNT_MAX)]
    terminal: messages.TerminalId | None = None
    phone: Text | None = None
    lang: Language | None = None
    currency: Rial = "rial"


class Undo(Question, frozen=True, tag="undo"):
    """Void a sale or refund `amount` of it (None: all that is left). `sale`: any of its numbers.

    request    the undoing's own identity: repeated, it gets its first answer
    only_show  tell what would happen, change nothing
    """

    kind: Literal["void", "refund"]
    sale: Text
    request: messages.Reference
    amount: Annotated[int, Meta(ge=1, le=messages.AMOUNT_MAX)] | None = None
    only_show: bool = False
    lang: Language | None = None
    currency: Rial = "rial"


class Adjust(Question, frozen=True, tag="adjust"):
    """Give (above zero) or take points by hand; `why` is journalled. The rest as for Undo."""

    phone: Text
    points: Annotated[int, Meta(ge=-POINTS_MAX, le=POINTS_MAX)]
    why: Annotated[str, Meta(min_length=1, max_length=200)]
    request: messages.Reference
    only_show: bool = False


class ProgrammeShow(Question, frozen=True, tag="programme show"):
    """The versions this ledger holds."""


class ProgrammeActivate(Question, frozen=True, tag="programme activate"):
    """Make a document the club's rules from UTC second `from_at` on (None: from now)."""

    document: Annotated[str, Meta(max_length=65_536)]
    from_at: int | None = None


AnyQuestion = (
    GetStatus | Why | Explain | Receipt | Journal | MemberAdd | MemberShow | MemberFind | MemberBind | Claim
    | Sell | Undo | Adjust | ProgrammeShow | ProgrammeActivate | hub_questions.Enrol | print_questions.Print
    | gap_questions.AnyGapQuestion | sync_questions.AnySyncQuestion
    | people_questions.AnyPeopleQuestion | redeem_questions.Redeem | offer_questions.AnyOfferQuestion
)  # fmt: skip


class Match(Struct, frozen=True):
    """One of several sales a text could mean."""

    number: str
    terminal: str
    amount: int
    at: str


class Several(Reply, frozen=True, tag="several"):
    """The text could mean any of these: ask again by number."""

    matches: tuple[Match, ...]


class Moment(Struct, frozen=True):
    """One step of a sale. `ms` since the first step on the device's wall clock; `row` its journal row."""

    at: str
    ms: float
    what: str
    detail: str = ""
    row: int = 0


class WhyIs(Reply, frozen=True, tag="why"):
    """A sale's time line, the arithmetic behind its points, and how they stand now.

    mismatch  what the stored result contradicts; '' when the rules give the stored points
    """

    number: str
    terminal: str
    amount: int
    at: str
    result: str
    moments: tuple[Moment, ...]
    steps: tuple[str, ...] = ()
    programme: str = ""
    programme_from: str = ""
    mismatch: str = ""


class Explained(Reply, frozen=True, tag="explained"):
    """The arithmetic in `lines`, recomputed; `mismatch` as in WhyIs.

    points  what the sale earned, or what a claim under rules made of it; `taken` what voids and refunds took
            of it since
    """

    number: str
    points: int
    programme: str
    lines: tuple[str, ...]
    mismatch: str = ""
    taken: int = 0


class Lines(Reply, frozen=True, tag="lines"):
    """The paper's lines; empty where the paper says nothing. `undone`: those of its voids and refunds."""

    number: str
    lines: tuple[str, ...]
    undone: "tuple[Lines, ...]" = ()


class Page(Reply, frozen=True, tag="page"):
    """Journal rows in order, as `app.journal_page` words them. `next` is the `after` of the next page."""

    rows: tuple[dict[str, Any], ...]
    next: int
    more: bool


class HistoryLine(Struct, frozen=True):
    """What changed a member's points: purchase, claim, void, refund (both below zero) or adjustment."""

    number: str
    at: str
    amount: int
    points: int
    what: str = "purchase"


class Member(Struct, frozen=True):
    """A member as people may see them: the phone masked, the id a keyed token in hex.

    birthday  Jalali day/month; consent: ISO time since when messages are welcome; '' for none
    referrer  id of who sent them; unasked: what nobody asked them yet; also: other ids that answer as them
    """

    id: str
    phone: str
    name: str
    balance: int
    debt: int
    visits: int
    spent: int
    cards: tuple[str, ...]
    history: tuple[HistoryLine, ...] = ()
    birthday: str = ""
    consent: str = ""
    referrer: str = ""
    unasked: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    value: redeem_questions.MemberValue | None = None
    offers: tuple[offer_questions.MemberOffer, ...] = ()


class MemberIs(Reply, frozen=True, tag="member"):
    """A member; `created`: they joined by this request."""

    member: Member
    created: bool = False


class MembersAre(Reply, frozen=True, tag="members"):
    """All members a text could mean."""

    members: tuple[Member, ...]


class ClaimIs(Reply, frozen=True, tag="claim"):
    """What a claim brought; `seen_before`: this member had claimed it already."""

    member: Member
    payments: int
    points: int
    seen_before: bool


class SoldIs(Reply, frozen=True, tag="sold"):
    """How the sale ended, in the local protocol's words. `note`: what the cashier should know."""

    sold: messages.Sold
    note: str = ""


class UndoneIs(Reply, frozen=True, tag="undone"):
    """What a void, refund or adjustment did, in the local protocol's words.

    done         False: it would do that; nothing changed
    seen_before  this request was done already
    left         rials of the sale that are not undone
    member       whose points they are, in hex; '' when they wait on a card or a code
    """

    undone: messages.Undone
    done: bool
    seen_before: bool = False
    left: int = 0
    member: str = ""


class Version(Struct, frozen=True):
    """A programme version. `since` ISO time or '' (from the beginning); `active`: covers a sale now."""

    id: str
    hash: str
    since: str
    row: int
    active: bool
    document: str


class ProgrammesAre(Reply, frozen=True, tag="programmes"):
    """The versions held, in the order they were activated; `changed`: this request added one."""

    versions: tuple[Version, ...]
    changed: bool = False


AnyReply = (
    Failure | StatusIs | Several | WhyIs | Explained | Lines | Page | MemberIs | MembersAre | ClaimIs | SoldIs
    | UndoneIs | ProgrammesAre | gap_questions.AnyGapReply | hub_questions.EnrolIs
    | people_questions.ForgottenIs | people_questions.JoinedIs | people_questions.MovedIs
    | redeem_questions.RedeemIs | offer_questions.AnyOfferReply
    | print_questions.PrintIs | sync_questions.SyncIs | sync_questions.SyncLogIs
)  # fmt: skip
