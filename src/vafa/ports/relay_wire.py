"""What relay and daemon say to each other over their unix socket: one kind, one number, some bytes.

    daemon -> relay   HELLO (the terminal's id)       ACK (number)       NOTED (the gap is in the journal)
    relay -> daemon   HELLO (number: acknowledged; instance, what may be missing)    STATE (open|closed, why)
                      TO_TERMINAL, TO_REGISTER, CUT (number, bytes)                  REFUSED (why)

Numbers that jump mean that the ring overflowed. And for the line, lent while it is idle (see relay_lending):

    daemon -> relay   BORROW (the newest number it has understood)   ASK (bytes)   GIVE_BACK
    relay -> daemon   LENT        ANSWER (bytes)       OVER (an Over; why)

STATE's number is CAN_LEND where the relay knows these: one that was started before an upgrade does not, and
hangs up on a message it does not know. Nothing of this is ever logged: it holds a line's bytes.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

HELLO, ACK, NOTED, STATE, REFUSED = b"H", b"A", b"M", b"S", b"R"
TO_TERMINAL, TO_REGISTER, CUT = b">", b"<", b"|"
BORROW, ASK, GIVE_BACK, LENT, ANSWER, OVER = b"B", b"?", b"G", b"L", b"!", b"O"
CAN_LEND = 1
KILLED_WITH_COPIES = "the relay ended while copies of what crossed were unread"

_HEAD = struct.Struct(">cQI")  # kind, number, bytes that follow
_KINDS = frozenset((HELLO, ACK, NOTED, STATE, REFUSED, TO_TERMINAL, TO_REGISTER, CUT))
_KINDS |= {BORROW, ASK, GIVE_BACK, LENT, ANSWER, OVER}
_PAYLOAD_BYTES_MAX = 64 * 1024


class Over(IntEnum):
    """Why a borrowing ended before it was given back, or did not begin."""

    IN_USE = 1  # the line is not idle
    UNREACHABLE = 2  # the terminal takes no connection
    CUT_OFF = 3  # the cash register had waited long enough, or the borrower had the line for too long


class Message(NamedTuple):
    """One message. `payload` may hold a card number, so `repr` hides it."""

    kind: bytes
    number: int = 0
    payload: bytes = b""

    def __repr__(self) -> str:
        return f"Message({self.kind!r}, {self.number}, {len(self.payload)} bytes)"


class Hello(NamedTuple):
    """How the relay begins: where the daemon had come to, who speaks, what an earlier relay took with it.

    instance  random, of this start of the relay
    missing   why copies may have been lost with an earlier instance; '' when none were
    """

    acked: int
    instance: str
    missing: str


class NotTheRelay(ValueError):
    """Bytes that no relay and no daemon of ours sends."""


def encode(kind: bytes, number: int = 0, payload: bytes | bytearray = b"") -> bytes:
    """The bytes of one message."""
    return _HEAD.pack(kind, number, len(payload)) + payload


def encode_hello(hello: Hello) -> bytes:
    """The relay's HELLO, as sent."""
    return encode(HELLO, hello.acked, f"{hello.instance}\n{hello.missing}".encode())


def read_hello(message: Message) -> Hello:
    """The relay's HELLO."""
    instance, _, missing = message.payload.decode("utf-8", "replace").partition("\n")
    return Hello(message.number, instance, missing)


def encode_state(line: str, trouble: str) -> bytes:
    """How the line stands, as sent."""
    return encode(STATE, CAN_LEND, f"{line}\n{trouble}".encode())


def read_state(message: Message) -> tuple[str, str]:
    """(`open` or `closed`, what is wrong with the line or '')."""
    line, _, trouble = message.payload.decode("utf-8", "replace").partition("\n")
    return line, trouble


class Splitter:
    """Turns the socket's bytes, however split, into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, received: bytes) -> list[Message]:
        """The messages `received` completes. NotTheRelay when these are none."""
        self._held += received
        found = []
        at = 0
        while len(self._held) - at >= _HEAD.size:
            kind, number, length = _HEAD.unpack_from(self._held, at)
            if kind not in _KINDS or length > _PAYLOAD_BYTES_MAX:
                raise NotTheRelay("these are not the relay's messages")
            end = at + _HEAD.size + length
            if len(self._held) < end:
                break
            found.append(Message(kind, number, bytes(self._held[at + _HEAD.size : end])))
            at = end
        del self._held[:at]
        return found
