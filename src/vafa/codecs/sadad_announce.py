"""What a Sadad terminal sends by UDP, unasked: where it listens, and (unproven) that something was paid.

    SADAD PCPOS:<merchant name>:<ip>:<port>:<terminal id>:<merchant id>    UTF-8, each second, ports 100, 8010

The header is written `SADAD PC POS` and `SADAD PCPOS`. A merchant's name may hold colons, so the other four
fields count from the end. The notification is a frame of TYPE 1B with 183 units of two bytes, to UDP port
101; its layout comes from one vendor's library alone, nobody has captured one. So nothing of it is read but
which terminal it names: whoever hears it asks that terminal, and never awards by it.

Anybody in the shop's network can send such datagrams. They are bounded, read as values, and believed in
nothing: what is announced is a hint for people and for one more question to a terminal that is configured.
"""

from ipaddress import AddressValueError, IPv4Address

from msgspec import Struct

from vafa.codecs.sadad_fields import Malformed, text_of
from vafa.codecs.sadad_frames import Frame, FrameType, Reader
from vafa.model.identity import without_phones

ANNOUNCE_PORTS = (100, 8010)
NOTIFY_PORT = 101
ANNOUNCEMENT_BYTES_MAX = 512  # a name of 100 letters in Persian and four short fields fit twice
NAME_LETTERS_MAX = 100
_HEADERS = ("SADAD PCPOS", "SADAD PC POS")
_ID_LETTERS_MAX = 16

NOTIFICATION_BYTES = 366  # the data of its frame
# Units before the terminal id: response 4, amount 13, card 17, processing 7, trace 7, a time of 6 and one of
# 24, reference 13, approval 7; then the id's 9.
_TERMINAL_UNITS = slice(98, 107)


class Announcement(Struct, frozen=True):
    """A terminal tells the network where it listens.

    name         the merchant's, as the terminal has it; for people
    address      "192.0.2.1:8888", as announced; the sender's own address may be another
    """

    terminal_id: str
    address: str
    name: str
    merchant_id: str


class Notification(Struct, frozen=True):
    """Something happened at this terminal, it says."""

    terminal_id: str


def read_announcement(datagram: bytes) -> Announcement | Malformed:
    """One datagram of the announcement ports. `Malformed.why` never quotes it."""
    fields = _fields(datagram)
    if isinstance(fields, Malformed):
        return fields
    name, host, port, terminal_id, merchant_id = fields
    address = _address(host, port)
    if not address:
        return Malformed("no address and port")
    if not (_is_id(terminal_id) and (_is_id(merchant_id) or not merchant_id)):
        return Malformed("no terminal and merchant id")
    shown = without_phones(text_of(name))[:NAME_LETTERS_MAX]
    return Announcement(text_of(terminal_id), address, shown, text_of(merchant_id))


def _fields(datagram: bytes) -> list[str] | Malformed:
    """The five fields behind the header."""
    if len(datagram) > ANNOUNCEMENT_BYTES_MAX:
        return Malformed(f"longer than {ANNOUNCEMENT_BYTES_MAX} bytes")
    try:
        text = datagram.decode("utf-8").strip("\0 \r\n")
    except UnicodeDecodeError:
        return Malformed("not UTF-8")
    header, _, rest = text.partition(":")
    if header.strip() not in _HEADERS:
        return Malformed("no Sadad header")
    fields = [field.strip() for field in rest.rsplit(":", 4)]
    return fields if len(fields) == 5 else Malformed("fewer than five fields")


def _address(host: str, port: str) -> str:
    try:
        ip = IPv4Address(host)
    except AddressValueError:
        return ""
    usable = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536
    reachable = not (ip.is_multicast or ip.is_unspecified or ip == IPv4Address("255.255.255.255"))
    return f"{ip}:{int(port)}" if usable and reachable else ""


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _ID_LETTERS_MAX and text.isascii() and text.isalnum()


def read_notification(datagram: bytes) -> Notification | Malformed:
    """One datagram of the notification port: exactly one frame, of the right type and length."""
    if len(datagram) > 2 * NOTIFICATION_BYTES:
        return Malformed("longer than a notification")
    reader = Reader()
    seen = reader.feed(datagram) + reader.flush()
    if len(seen) != 1 or not isinstance(seen[0], Frame):
        return Malformed("not one frame")
    frame = seen[0]
    if frame.type is not FrameType.NOTIFICATION or len(frame.data) != NOTIFICATION_BYTES:
        return Malformed("no notification")
    first, end = _TERMINAL_UNITS.start * 2, _TERMINAL_UNITS.stop * 2
    terminal_id = text_of(frame.data[first:end].decode("utf-16-le", "replace"))
    if not _is_id(terminal_id):
        return Malformed("no terminal id")
    return Notification(terminal_id)
