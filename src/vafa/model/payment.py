"""A payment and its identity.

A payment is its own identity: the key is what the terminal itself reports, kept as a natural ordered tuple.
Heard once or five times, live or polled, before or after a crash, the key is the same, so the award is one.
What may be present live and absent in a replay (trace, time, mask, order id) is evidence, never key.
"""

from enum import IntEnum

from msgspec import Struct

from vafa.model.calendar import WallTime
from vafa.model.money import Currency
from vafa.model.pan import CardHint


class Scheme(IntEnum):
    """Whose numbering a key's reference belongs to. Stored; never renumber."""

    RRN = 1  # retrieval reference number of the switch: Sadad, Behpardakht C2, Intek RN, Saman DE37
    SENDER = 2  # the local protocol's payment reference
    ZVT = 3  # receipt-MMDD-HHMMSS-amount
    ECR17 = 4  # STAN-online id-DDDHHMM-amount
    REQUEST = 5  # not a payment's: the id a program or person gave a void, refund or adjustment


class PaymentKey(Struct, frozen=True, array_like=True, order=True, gc=False):
    """(scheme, terminal id, reference, reuse). `reuse` counts equal ZVT keys more than 300 days apart."""

    scheme: Scheme
    tid: str
    ref: str
    reuse: int = 0

    def __str__(self) -> str:
        return f"{self.tid}/{self.ref}" + (f"+{self.reuse}" if self.reuse else "")


class Source(IntEnum):
    """How we came to know of a payment. Stored; never renumber."""

    LIVE = 1  # the terminal's answer to our own or an overheard request
    POLLED = 2  # a row of the terminal's journal
    LOCAL = 3  # the local protocol
    RECORDED = 4  # a person, by hand
    LIVE_AFTER_LIST = 5  # as LIVE: the first since the terminal's own list was read (app.read_up)
    LOOKED_UP = 6  # a row of the terminal's journal that was asked for one unsure sale's sake


HEARD_LIVE = (Source.LIVE, Source.LIVE_AFTER_LIST)
TOLD_BY_TERMINAL = (*HEARD_LIVE, Source.POLLED, Source.LOOKED_UP)


class Payment(Struct, frozen=True, kw_only=True):
    """A completed, approved payment as a codec understood it.

    amount      minor units of `currency`, as paid (rials)
    paid_at     the terminal's own wall clock in the calendar it uses, or UTC seconds; None when it told none
    order_id    what the cash register called the sale, '' when none
    processing  the protocol's processing or row type code, e.g. Sadad '000000' or '04'
    is_sale     False for a bill payment, top-up or balance inquiry: recorded, earns nothing
    less        (events.Less, minor units): parts of the amount that may not earn, where somebody told them
    """

    key: PaymentKey
    amount: int
    source: Source
    currency: Currency = Currency.RIAL_CURRENT
    paid_at: WallTime | int | None = None
    trace: str = ""
    card: CardHint = CardHint()
    order_id: str = ""
    processing: str = ""
    is_sale: bool = True
    less: tuple[tuple[int, int], ...] = ()
