"""The section [notifications] of config.toml: what a terminal may say by UDP, unasked."""

from typing import Annotated

from msgspec import Meta, Struct


class Notifications(Struct, frozen=True):
    """Datagrams that make a poll come at once."""

    sadad: Annotated[
        bool,
        Meta(
            description="UNPROVEN on hardware: hear a Sadad terminal's UDP notification and ask its list of "
            "last transactions at once; nothing is ever awarded by a notification itself"
        ),
    ] = False
    port: Annotated[
        int,
        Meta(
            ge=1,
            le=65_535,
            description="UDP port they come to; below 1024 the unit needs a right more (docs/operations.md)",
        ),
    ] = 101
