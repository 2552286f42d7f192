"""What every question of the control socket and every answer share, and the texts they are made of."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Language = Annotated[str, Meta(pattern="^(fa|en)$")]


class Question(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, kw_only=True):
    """What all requests share."""


class Reply(Struct, frozen=True, tag_field="is", kw_only=True):
    """What all answers share."""


class Failure(Reply, frozen=True, tag="failure"):
    """It was not done: `code` to look up, `message` for a person, `fix` what to do."""

    code: str
    message: str
    fix: str = ""


def encode(message: Question | Reply) -> bytes:
    """One line, without the newline."""
    return msgspec.json.encode(message)
