"""The journal row and the hash that chains it to the row before.

hash = BLAKE2b-256(hash before || MessagePack [epoch, seq, at, kind, body, till, state]); the row before the
first one has 32 zero bytes. So every column of every row is covered, and rows cannot be dropped or reordered.
"""

from hashlib import blake2b

import msgspec

NO_HASH = bytes(32)
_encoder = msgspec.msgpack.Encoder()


class Row(msgspec.Struct, frozen=True, gc=False):
    """One journal row. `at` is the device's clock in UTC milliseconds: shown, never used for order.

    till    the till's account totals after the event (books.TillSums, MessagePack)
    state   the state hash of the books after the event, 32 bytes
    """

    epoch: int
    seq: int
    at: int
    kind: int
    body: bytes
    till: bytes
    state: bytes
    hash: bytes


def chain_hash(
    before: bytes, epoch: int, seq: int, at: int, kind: int, body: bytes, till: bytes, state: bytes
) -> bytes:
    """32 bytes for the row with these columns that follows the row whose hash is `before`."""
    return blake2b(
        before + _encoder.encode((epoch, seq, at, kind, body, till, state)),
        digest_size=32,
        person=b"vafa row",
    ).digest()


def check_code(row_hash: bytes) -> str:
    """Four decimal digits of a row's hash, for paper: pins what the journal said when it was printed."""
    return f"{int.from_bytes(row_hash[:4], 'big') % 10_000:04d}"
