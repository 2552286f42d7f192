"""What the hub's refusals mean here: which end the sync until somebody acts, which are tried again."""

from vafa.model.errors import SyncError
from vafa.sync.kept import Trouble
from vafa.wire.messages import Reason, Refusal

_ENROL = "ask for a code at the hub and enrol again: vafa enrol CODE"
_MEANS: dict[int, tuple[str, str, str]] = {
    Reason.MALFORMED: ("SYN-010", "the hub cannot read what was sent", "update the older of the two"),
    Reason.TOO_LARGE: ("SYN-010", "the hub wants fewer rows at once", ""),
    Reason.BUSY: ("SYN-010", "the hub is busy", ""),
    Reason.UNKNOWN_DEVICE: ("SYN-012", "the hub does not know this device", _ENROL),
    Reason.REVOKED: ("SYN-013", "the hub took this device off", _ENROL),
    Reason.BAD_SIGNATURE: ("SYN-014", "the hub knows this device by another key", _ENROL),
    Reason.FORK: (
        "SYN-009",
        "this device's journal is another branch than the hub's",
        "was it copied, or an old backup put back by hand? vafa restore",
    ),
    Reason.VERSION: (
        "SYN-015",
        "the hub and this device do not understand each other",
        "update the older one",
    ),
    Reason.NOT_YOURS: (
        "SYN-016",
        "rows name ids of another merchant",
        "report this, with vafa doctor --bundle",
    ),
    Reason.CHAIN: ("SYN-017", "the rows do not give the chain's hash at the hub", "vafa verify; report this"),
}


class Later(SyncError):
    """No answer worth believing, or not now. `wait_s`: what was asked for, None where nothing was."""

    code = "SYN-010"

    def __init__(self, message: str, *, wait_s: int | None = None, fix: str = "", code: str = "") -> None:
        super().__init__(message, fix=fix, code=code)
        self.wait_s = wait_s


def meant(refusal: Refusal) -> Trouble:
    """A refusal as people read it: our words, then the hub's."""
    code, text, fix = _MEANS.get(refusal.reason, ("SYN-010", "the hub refuses", "update Vafa here"))
    return Trouble(code, f"{text}: {refusal.text}" if refusal.text else text, fix)
