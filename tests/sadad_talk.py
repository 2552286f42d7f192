"""A sale as it crosses a Sadad line: the register's bytes by our codec, the terminal's by the simulator's."""

from datetime import UTC, datetime

from vafa.codecs.sadad_frames import ACK, INM, encode
from vafa.codecs.sadad_messages import SaleRequest, sale_request_frame
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL
from vafa.simulators import sadad_bytes

TID = "40217736"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def request(amount: int = 125_000, order_id: str = "bill-7", processing: str = "000000") -> bytes:
    """A cash register's sale request."""
    return encode(sale_request_frame(SaleRequest(amount=amount, order_id=order_id, processing=processing)))


def response(amount: int = 125_000, rrn: str = "320062616116", **fields: str) -> bytes:
    """The terminal's answer."""
    given = {"code": "00", "card": "621986******3864", "trace": "000996", "terminal_id": TID} | fields
    return sadad_bytes.sale_response(
        sadad_bytes.SaleAnswer(amount=amount, at=AT, rrn=rrn, merchant_id="000000000000152", **given)
    )


TALK = [
    (TO_TERMINAL, encode(INM)),
    (TO_REGISTER, encode(ACK)),
    (TO_TERMINAL, request()),
    (TO_REGISTER, encode(ACK)),
    (TO_REGISTER, response()),
    (TO_TERMINAL, encode(ACK)),
]
