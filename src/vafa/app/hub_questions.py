"""What the control socket is asked about this device's hub, and answers. Types only, as in `questions`."""

from typing import Annotated

from msgspec import Meta

from vafa.app.question import Question, Reply, Text

CERTIFICATES_MAX = 256 * 1024


class Enrol(Question, frozen=True, tag="enrol"):
    """Enrol this device, enrol it again, or (code '') change its keys at the hub it is enrolled with.

    hub           https address; '' for the one it has
    certificates  PEM of the authorities that may vouch for the hub, and no others; '' for the system's
    new_hub       a hub with another key than the pinned one is meant
    """

    code: Text = ""
    hub: Text = ""
    certificates: Annotated[str, Meta(max_length=CERTIFICATES_MAX)] = ""
    new_hub: bool = False


class EnrolIs(Reply, frozen=True, tag="enrolled"):
    """How it ended. fingerprint: the hub's key, to be compared with what the hub's operator sees.

    merged      members of before that the merchant's other devices know from now on
    unreadable  members whose sealed phone does not open: they stay known here only
    skew_s      this device's clock less the hub's
    """

    host: str
    merchant: str
    device: int
    shop: str
    fingerprint: str
    again: bool
    merged: int = 0
    unreadable: int = 0
    skew_s: float = 0.0
