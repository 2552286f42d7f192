"""The messages of `POST /v1/sync` and `POST /v1/enrol`: positional MessagePack, fields only appended.

    device -> hub   Envelope(SyncRequest | EnrolRequest)          docs/sync.md has a drawing
    hub -> device   Answer(SyncAnswer | EnrolAnswer | Refusal)

Whoever reads one checks its signature first (`wire.signing` has the exact input). A field appended later has
a default and an older side skips it; so the hub may be newer than a device, and a device than its hub.
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from vafa.wire import limits

SYNC_PATH, ENROL_PATH = "/v1/sync", "/v1/enrol"
SEALED_FOR = "token key"  # what a token key is sealed for, either way (keys.sealed_box)

Count = Annotated[int, Meta(ge=0, le=2**53)]
Points = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Second = Annotated[int, Meta(ge=-62_135_596_800, le=253_402_300_799)]  # UTC, of the years 1 to 9999
HubMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # the hub's clock: to the end of 9999
Hash = Annotated[bytes, Meta(min_length=limits.HASH_BYTES, max_length=limits.HASH_BYTES)]
PublicKey = Annotated[bytes, Meta(min_length=limits.PUBLIC_KEY_BYTES, max_length=limits.PUBLIC_KEY_BYTES)]
Signature = Annotated[bytes, Meta(max_length=limits.SIGNATURE_BYTES)]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARS_MAX)]
Name = Annotated[str, Meta(max_length=100)]
Id = Annotated[bytes, Meta(max_length=32)]


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What they have in common: the way they are written."""


class Envelope(Message, frozen=True):
    """What a device sends, signed by its key.

    merchant, device  who it says it is; '' and 0 when it enrols
    nonce             16 random bytes, new for each request: the answer is signed for it
    at_ms             the device's wall clock: the hub shows the skew and never judges by it
    form              how `content` is written (wire.compress.Form)
    """

    version: int
    merchant: Name
    device: Count
    nonce: Annotated[bytes, Meta(min_length=limits.NONCE_BYTES, max_length=limits.NONCE_BYTES)]
    at_ms: int
    form: int
    content: bytes
    signature: Signature = b""


class Answer(Message, frozen=True):
    """What the hub answers, signed for the request's nonce. Unsigned: `signature` is b''."""

    version: int
    form: int
    content: bytes
    signature: Signature = b""


class Mark(Message, frozen=True):
    """A place in a device's journal: up to and with row `seq` of `epoch`, whose chain hash begins with
    `hash`.

    hash  the first 8 bytes: enough to tell two branches apart. (0, 0, b'') is before the first row.
    """

    epoch: Count = 0
    seq: Count = 0
    hash: Annotated[bytes, Meta(max_length=limits.HASH_BYTES)] = b""


MARK_HASH_BYTES = 8


class Facts(Message, frozen=True):
    """What the hub's fleet page shows of a device. Sent when something in it changed, else None."""

    vafa: Name
    schema: Count
    gaps_open: Count = 0
    suspense: Count = 0
    memory_only: Count = 0  # payments a failing disk did not take
    link: Name = ""  # the interface's name and kind: `wwan0 sim`, `wlan0 wifi`, `eth0`
    metered: bool = False
    verdict: Name = ""
    skew_ms: int = 0  # the clock against the hub at the last answer, as the device saw it


class Have(Message, frozen=True):
    """How far a device has taken what comes down: the hub's own running numbers, one a kind of thing.

    forgotten  names all forgettings up to the last one that was told, in their order (the hub's own digest,
               b'' before the first); a number would name others after the hub was restored. None: a device
               that hears of none yet
    """

    programmes: Count = 0
    members: Count = 0
    messages: Count = 0
    forgotten: Annotated[bytes, Meta(max_length=limits.HASH_BYTES)] | None = None


class SyncRequest(Message, frozen=True, tag=1):
    """Rows up, and where the device stands.

    rows      wire.rows.pack of consecutive rows, b'' when there is nothing new
    before    the mark the rows follow; without rows: the newest row there is
    head      the whole chain hash after the last row sent; the hub recomputes it. b'' without rows
    newest    the newest seq of the journal, so the hub sees what waits
    counted   the last rows it has counted of each branch it lost, the newest first; None: it takes none now
    """

    rows: bytes
    before: Mark
    head: Annotated[bytes, Meta(max_length=limits.HASH_BYTES)]
    newest: Count
    have: Have = Have()
    facts: Facts | None = None
    counted: Annotated[tuple[Mark, ...], Meta(max_length=limits.BRANCHES_MAX)] | None = None


class Programme(Message, frozen=True):
    """A version of the club's rules. `order` numbers them per merchant; the device checks `signature`."""

    order: Count
    document: Annotated[str, Meta(max_length=limits.DOCUMENT_CHARS_MAX)]
    from_at: Second | None
    signature: Signature


class RemoteMember(Message, frozen=True):
    """A member of the merchant's other devices, so that this one can greet them offline. Never spent from.

    balance   points at all tills, as of `as_of` (UTC seconds)
    gone      forgotten or merged: the device drops what it kept
    """

    member: Id
    last4: Annotated[str, Meta(max_length=4)]
    tokens: Annotated[tuple[Id, ...], Meta(max_length=limits.MEMBER_TOKENS_MAX)]
    balance: Points
    as_of: Second
    gone: bool = False


class Forgotten(Message, frozen=True):
    """A person whom another device of the merchant forgot, by the row of its journal that says so."""

    member: Id
    device: Count
    epoch: Count
    seq: Count


class ReceiptMessage(Message, frozen=True):
    """A line for a member's next receipt, or everybody's (`holder` b''). `until` in UTC seconds or None."""

    id: Count
    holder: Id
    fa: Text
    en: Text
    from_at: Second | None
    until: Second | None
    gone: bool = False


class Note(Message, frozen=True):
    """Something the hub wants people at the device to know: a look-up code and a sentence."""

    code: Name
    text: Text


class Branch(Message, frozen=True):
    """Rows of this device's own number that its journal does not have: it was restored from a backup, or a
    copy of it went on. They follow a row of its journal, or one of those that it got back before.

    rows       wire.rows.pack of consecutive whole rows
    head       the chain hash after the last of them
    newest     the seq of the newest row the hub holds of the branch
    signature  the hub's, of where these rows end (wire.signing.branch_input)
    """

    rows: bytes
    head: Hash
    newest: Count
    signature: Signature


class SyncAnswer(Message, frozen=True, tag=1):
    """What the hub holds, and what the device should know.

    received     up to here the hub has the rows; a mark below the device's own: send again from there
    safe         up to here the rows are in the hub's backups too: the device may forget them in time
    hub_ms       the hub's clock, UTC milliseconds; signed for the request's nonce
    whole_rows   send rows with their till and state columns: the hub could not compute the same ones
    have         the running numbers after what this answer brings
    more         more waits to come down: ask again at once
    retry_s      wait at least so long before the next request (0: as the device likes)
    suspense     rows of this device that the hub holds and could not book
    branch       rows it lost, to be counted again; None when it has them all
    forgotten    people whom other devices forgot: this one forgets them too
    """

    received: Mark
    safe: Mark
    hub_ms: HubMs
    whole_rows: bool = False
    have: Have = Have()
    programmes: Annotated[tuple[Programme, ...], Meta(max_length=limits.PROGRAMMES_MAX)] = ()
    members: Annotated[tuple[RemoteMember, ...], Meta(max_length=limits.MEMBERS_MAX)] = ()
    messages: Annotated[tuple[ReceiptMessage, ...], Meta(max_length=limits.MESSAGES_MAX)] = ()
    notes: Annotated[tuple[Note, ...], Meta(max_length=20)] = ()
    more: bool = False
    retry_s: Count = 0
    suspense: Count = 0
    branch: Branch | None = None
    forgotten: Annotated[tuple[Forgotten, ...], Meta(max_length=limits.FORGOTTEN_MAX)] = ()


class EnrolRequest(Message, frozen=True, tag=2):
    """The first word of a device, and of one that changes its keys. The envelope is signed by `signing_key`.

    code         the one-time code as a person typed it, capitals and digits only
    signing_key  Ed25519, 32 bytes; sealing_key: X25519, 32 bytes (keys.sealed_box)
    ledger_id    of EpochOpened; head: the newest row, so that nothing before enrolment is orphaned
    key_id       of the token key in use, 2 bytes
    token_key    that key sealed to the hub's sealing key, when this may become the merchant's; else b''
    """

    code: Name
    signing_key: PublicKey
    sealing_key: PublicKey
    ledger_id: Id
    head: Mark
    key_id: Id
    token_key: Annotated[bytes, Meta(max_length=512)] = b""
    vafa: Name = ""
    previous: tuple[Name, Count] | None = None  # (merchant, device) when it enrols again


class EnrolAnswer(Message, frozen=True, tag=2):
    """Who the device is from now on.

    hub_key      Ed25519, to be pinned; hub_sealing_key: X25519
    token_key    the merchant's token key sealed to the device, b'' when the device's own became it
    want_key     True: the hub has no token key of this merchant; enrol again at once with `token_key` sealed
                 to `hub_sealing_key` (the code stays good for this device key)
    """

    merchant: Name
    device: Count
    hub_key: PublicKey
    hub_sealing_key: PublicKey
    hub_ms: HubMs
    key_id: Id
    token_key: Annotated[bytes, Meta(max_length=512)] = b""
    want_key: bool = False
    shop: Text = ""
    alone: bool = True  # no other device of the merchant is enrolled


class Reason(IntEnum):
    """Why the hub refuses. Stored in the device's log of syncs; never renumber."""

    MALFORMED = 1  # the request is no message of ours, or its rows do not unpack
    TOO_LARGE = 2  # more rows or bytes than the limits: send fewer
    BUSY = 3  # rate limit, database away: come back after retry_s
    UNKNOWN_DEVICE = 4
    REVOKED = 5  # the device was taken off, or fenced by a new one
    BAD_SIGNATURE = 6  # not signed by the key this device enrolled with
    FORK = 7  # the journal is another branch than the one the hub holds
    VERSION = 8  # one of the two is too old for the other
    NOT_YOURS = 9  # ids of another merchant
    CODE_UNKNOWN = 10
    CODE_USED = 11
    CODE_EXPIRED = 12
    CHAIN = 13  # whole rows were sent and still do not give the named chain hash


# Trying again does not help: a person must act. Only a signed refusal is ever final.
FINAL = frozenset({
    Reason.UNKNOWN_DEVICE, Reason.REVOKED, Reason.BAD_SIGNATURE, Reason.FORK, Reason.VERSION,
    Reason.NOT_YOURS, Reason.CODE_UNKNOWN, Reason.CODE_USED, Reason.CODE_EXPIRED, Reason.CHAIN,
})  # fmt: skip


class Refusal(Message, frozen=True, tag=3):
    """No, and why: a reason, a sentence for people, and when to come back where that helps.

    `reason` is a number, so that a device reads a reason a newer hub made up: unknown ones are tried again.
    """

    reason: Count
    text: Text
    retry_s: Count = 0
    hub_ms: HubMs = 0

    @property
    def is_final(self) -> bool:
        """True when trying again does not help."""
        return self.reason in FINAL


Content = SyncRequest | EnrolRequest
AnswerContent = SyncAnswer | EnrolAnswer | Refusal

# The HTTP status that goes with a refusal, for proxies and logs; the device goes by the signed body.
STATUS = {
    Reason.MALFORMED: 400, Reason.TOO_LARGE: 413, Reason.BUSY: 503, Reason.UNKNOWN_DEVICE: 401,
    Reason.REVOKED: 403, Reason.BAD_SIGNATURE: 401, Reason.FORK: 409, Reason.VERSION: 426,
    Reason.NOT_YOURS: 403, Reason.CODE_UNKNOWN: 403, Reason.CODE_USED: 403, Reason.CODE_EXPIRED: 403,
    Reason.CHAIN: 422,
}  # fmt: skip
