"""The section [update] of config.toml."""

from typing import Annotated

from msgspec import Meta, Struct


class Update(Struct, frozen=True):
    """Whose releases this device takes, and how long one is on trial."""

    keys: Annotated[
        tuple[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")], ...],
        Meta(
            description="public keys (64 hexadecimal digits, `vafa update key`) whose releases `vafa update "
            "FILE` takes, beside the key of the release that runs"
        ),
    ] = ()
    confirm_after_min: Annotated[
        int,
        Meta(ge=1, le=1440, description="minutes a new release must be well before it is confirmed"),
    ] = 5
