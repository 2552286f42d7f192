"""What the hub knows of a device from its last request: when, how much waits, what it said of itself.

The last request's answer is kept with its digest: the same request again (its answer was lost on the way)
gets the same bytes. The allowance of requests is kept here too.
"""

import msgspec

from vafa.hub.database import Connection
from vafa.hub.rate import Bucket
from vafa.wire.messages import Facts

# A backlog goes up in requests of up to 1,000 rows, one after the other: 600,000 rows at once, then ten
# requests a second. A shop needs one a sale.
REQUESTS = Bucket(size=600, per_s=10)
ANSWER_KEPT_BYTES_MAX = 16_384
_READ = """SELECT seen_at, request_digest, answer, tokens, tokens_at, skew_ms, newest, facts,
facts_at, rewinds
FROM contact WHERE merchant_id = %s AND device = %s"""
_WRITE = """INSERT INTO contact
(merchant_id, device, seen_at, request_digest, answer, tokens, tokens_at, skew_ms, newest, facts, facts_at,
rewinds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (merchant_id, device) DO UPDATE SET seen_at = excluded.seen_at,
request_digest = excluded.request_digest, answer = excluded.answer, tokens = excluded.tokens,
tokens_at = excluded.tokens_at, skew_ms = excluded.skew_ms, newest = excluded.newest, facts = excluded.facts,
facts_at = excluded.facts_at, rewinds = excluded.rewinds"""
_facts = msgspec.msgpack.Decoder(Facts)
_encoder = msgspec.msgpack.Encoder()


class Contact(msgspec.Struct, frozen=True):
    """The last request of a device. Times are the hub's, UTC milliseconds.

    tokens, tokens_at  the request bucket (hub.rate)
    skew_ms            the device's clock less the hub's, when it asked; a slow link makes it smaller
    newest             the newest seq of its journal, as it said: what is behind the hub's waits there
    packed_facts       wire.messages.Facts as MessagePack, b'' when it never told any
    rewinds            how many requests in a row named a row the hub does not hold
    """

    seen_at: int
    request_digest: bytes
    answer: bytes
    tokens: float
    tokens_at: int
    skew_ms: int
    newest: int
    packed_facts: bytes = b""
    facts_at: int = 0
    rewinds: int = 0

    @property
    def bucket(self) -> tuple[float, int]:
        """The state of the request bucket, as `rate.spend` takes it."""
        return self.tokens, self.tokens_at

    @property
    def facts(self) -> Facts | None:
        """What the device said of itself, None when it never did."""
        return _facts.decode(self.packed_facts) if self.packed_facts else None


def contact(connection: Connection, merchant: str, device: int) -> Contact | None:
    """The last request of a device, None when there was none."""
    found = connection.execute(_READ, (merchant, device)).fetchone()
    return Contact(*found) if found else None


def keep(connection: Connection, merchant: str, device: int, now: Contact) -> None:
    """This was the last request."""
    answer = now.answer if len(now.answer) <= ANSWER_KEPT_BYTES_MAX else b""
    kept = msgspec.structs.replace(now, answer=answer)
    connection.execute(_WRITE, (merchant, device, *msgspec.structs.astuple(kept)))


def packed(facts: Facts) -> bytes:
    """Facts as they are kept."""
    return _encoder.encode(facts)
