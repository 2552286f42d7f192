"""What every question of the control socket and every answer share, and the texts they are made of."""

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Language = Annotated[str, Meta(pattern="^(fa|en)$")]


class Question(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, kw_only=True):
    """What all requests share."""


class Reply(Struct, frozen=True, tag_field="is", kw_only=True):
    """What all answers share."""
