"""What a Sadad conversation asks its caller to do or to know: one small value each, safe to log by `repr`."""

from msgspec import Struct

from vafa.codecs.sadad_messages import CardInfo, Fault, JournalRow
from vafa.model.events import SaleOutcome
from vafa.model.payment import Payment


class Send(Struct, frozen=True):
    """Bytes for the line, now."""

    data: bytes

    def __repr__(self) -> str:
        return f"Send({len(self.data)} bytes)"


class Taken(Struct, frozen=True):
    """The terminal took the REQUEST: the customer is paying."""


class SaleDone(Struct, frozen=True):
    """The sale asked for has ended. APPROVED comes with its payment, nothing else does.

    response  the terminal's code, '' when it gave none;  text  the terminal's or our own words
    """

    outcome: SaleOutcome
    response: str = ""
    payment: Payment | None = None
    text: str = ""


class Late(Struct, frozen=True):
    """A RESPONSE nobody waits for, of an earlier sale: `payment` counts; None when it was no payment."""

    payment: Payment | None
    response: str = ""
    text: str = ""


class Repeat(Struct, frozen=True):
    """The last RESPONSE once more: the terminal missed our ACK."""

    payment: Payment | None


class CardSeen(Struct, frozen=True):
    """The card that was asked for."""

    info: CardInfo


class CardRefused(Struct, frozen=True):
    """No card came, or the terminal does not offer the question."""

    why: str


class JournalRows(Struct, frozen=True):
    """The terminal's journal, newest first.

    with_order_ids  the rows came with the cash registers' order ids, '' where a sale had none
    unreadable      rows that could not be read: the sale that is looked for may be one of them
    """

    rows: tuple[JournalRow, ...]
    with_order_ids: bool = False
    unreadable: int = 0


class JournalRefused(Struct, frozen=True):
    """No rows. `by_terminal`: it heard the question and would not answer it; else nobody heard it."""

    why: str
    by_terminal: bool = False


Output = (
    Send | Taken | SaleDone | Late | Repeat | CardSeen | CardRefused | JournalRows | JournalRefused | Fault
)
