"""What the daemon and its sync process say to each other: a JSON object a line, over its pipes."""

from typing import TypeVar

import msgspec

from vafa.model.chain import Row
from vafa.sync.links import LinkNow
from vafa.wire.messages import Facts, Forgotten


class ToProcess(msgspec.Struct, frozen=True, tag_field="say"):
    """What the daemon says."""


class Begin(ToProcess, frozen=True, tag="begin", kw_only=True):
    """The first line. The process reads enrolment and key by itself: no secret goes through here."""

    ledger_directory: str
    metered_bytes_a_day: int
    keep_warm_s: float
    log_format: str
    log_level: str


class Now(ToProcess, frozen=True, tag="now"):
    """How things stand: the link that carries us, the interface to bind to where one is named, the facts."""

    link: LinkNow
    bind_to: str
    facts: Facts


class Rows(ToProcess, frozen=True, tag="rows"):
    """There are new ones."""


class Wake(ToProcess, frozen=True, tag="wake"):
    """Try at once: a link came up, or a person asks. `number` comes back with the sync that obeyed."""

    by_person: bool = False
    number: int = 0


class Taken(ToProcess, frozen=True, tag="taken"):
    """Answers Activate, Attest, Forget and Regain. refused: why something is not taken; failed: why it could
    not be tried."""

    refused: str = ""
    failed: str = ""


FromDaemon = Begin | Now | Rows | Wake | Taken


class ToDaemon(msgspec.Struct, frozen=True, tag_field="tell"):
    """What the sync process says."""


class Synced(ToDaemon, frozen=True, tag="synced", kw_only=True):
    """A sync ended. received: the hub has our rows up to it; next_s: until the next try; wake: the newest
    Wake it obeyed; peer: the hub's address, once there was a connection."""

    ok: bool
    received: int
    next_s: float
    wake: int = 0
    peer: str = ""


class Ending(ToDaemon, frozen=True, tag="ending", kw_only=True):
    """The last line: be back in `next_s`, or in `rows_s` once there are rows after `newest`.

    fault  why it could not work
    """

    next_s: float
    rows_s: float
    newest: int = 0
    fault: str = ""
    fix: str = ""
    code: str = ""


class Activate(ToDaemon, frozen=True, tag="activate"):
    """A signed programme version; Taken is awaited."""

    document: str
    from_at: int | None


class Attest(ToDaemon, frozen=True, tag="attest"):
    """The hub's time, to be journalled; Taken is awaited."""

    hub_s: int


class Forget(ToDaemon, frozen=True, tag="forget"):
    """People whom other devices of the merchant forgot; Taken is awaited."""

    told: list[Forgotten]


class Regain(ToDaemon, frozen=True, tag="regain"):
    """Rows of a branch of the journal, judged, to be counted; Taken is awaited."""

    rows: list[Row]
    signature: bytes


FromProcess = Synced | Ending | Activate | Attest | Forget | Regain

LINE_BYTES_MAX = 1 << 20
M = TypeVar("M")
_encoder = msgspec.json.Encoder()
_from_daemon: msgspec.json.Decoder[FromDaemon] = msgspec.json.Decoder(FromDaemon)
_from_process: msgspec.json.Decoder[FromProcess] = msgspec.json.Decoder(FromProcess)


def line_of(message: FromDaemon | FromProcess) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(message) + b"\n"


def from_daemon(line: bytes) -> FromDaemon:
    """What the daemon said. msgspec.DecodeError for anything else: then both are not of one version."""
    return _said(_from_daemon, line)


def from_process(line: bytes) -> FromProcess:
    """What the sync process said. msgspec.DecodeError, as above."""
    return _said(_from_process, line)


def _said(decoder: "msgspec.json.Decoder[M]", line: bytes) -> M:
    try:
        return decoder.decode(line)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
