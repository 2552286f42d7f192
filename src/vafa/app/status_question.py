"""How the control socket is asked how things stand, and answers. Types only, and apart from `questions`: a
person waits a tenth of a second for `vafa status`, and all the other types would take a tenth of that."""

from vafa.app.question import Question, Reply
from vafa.app.standing import Status


class GetStatus(Question, frozen=True, tag="status"):
    """How do things stand?"""


class StatusIs(Reply, frozen=True, tag="status"):
    """How things stand."""

    status: Status
