"""What the control socket is asked about gaps and missed sales, and answers. Types only: see `questions`."""

from typing import Annotated

from msgspec import Meta

from vafa.app import messages
from vafa.app.message import Rial
from vafa.app.question import Language, Question, Reason, Reply, Text
from vafa.app.standing import Gap


class GapList(Question, frozen=True, tag="gap list"):
    """Where may sales be missing?"""


class GapClose(Question, frozen=True, tag="gap close"):
    """No more sales are missing in this gap."""

    gap: Text
    why: Reason


class Record(Question, frozen=True, tag="record"):
    """Enter a sale nobody heard, as its slip shows it. Without `post` only what it would bring is said.

    at   HH:MM on the shop's wall clock, the last time it was so
    gap  the number of a gap that this sale explains, and closes
    sale the number of an unsure sale that it is, and ends
    """

    amount: Annotated[int, Meta(ge=1, le=messages.AMOUNT_MAX)]
    rrn: Text
    why: Reason
    terminal: messages.TerminalId | None = None
    at: Text = ""
    phone: Text | None = None
    gap: Text = ""
    lang: Language | None = None
    post: bool = False
    currency: Rial = "rial"
    sale: Text = ""


class Unpaid(Question, frozen=True, tag="unpaid"):
    """Nothing was charged for this unsure sale."""

    sale: Text
    why: Reason


AnyGapQuestion = GapList | GapClose | Record | Unpaid


class GapsAre(Reply, frozen=True, tag="gaps"):
    """The gaps nobody has closed, oldest first."""

    gaps: tuple[Gap, ...]


class GapIsClosed(Reply, frozen=True, tag="gap closed"):
    """This gap is closed now."""

    gap: Gap


class RecordIs(Reply, frozen=True, tag="recorded"):
    """What a sale entered by hand brought, or would bring where it is not `posted`.

    at           ISO time of the payment, '' when it was not told
    seen_before  the sale was known already: nothing was posted, but the end of the unsure sale it is
    disagrees    what is known of it otherwise
    """

    paid: messages.Paid
    posted: bool
    at: str = ""
    seen_before: bool = False
    disagrees: tuple[str, ...] = ()


class UnpaidIs(Reply, frozen=True, tag="unpaid is"):
    """This sale ended unpaid, by a person's word."""

    number: str
    terminal: str
    amount: int


AnyGapReply = GapsAre | GapIsClosed | RecordIs | UnpaidIs
