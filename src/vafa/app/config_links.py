"""The section [links] of config.toml."""

from typing import Annotated

from msgspec import Meta, Struct


class Links(Struct, frozen=True):
    """Which network links cost by volume."""

    metered: Annotated[
        tuple[str, ...],
        Meta(
            description='links that cost by volume, e.g. ["wwan0", "enx*"]; what is named nowhere costs '
            "where NetworkManager says so, else a SIM does and nothing else"
        ),
    ] = ()
    unmetered: Annotated[tuple[str, ...], Meta(description="links that do not, whatever they look like")] = ()
