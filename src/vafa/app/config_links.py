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
    metered_kb_a_day: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="kB the sync may send and receive over metered links in 24 hours, all counted; "
            "the less is left the longer sales wait for company; 0 = no limit",
        ),
    ] = 2_000
    keep_warm_s: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600,
            description="seconds without a sync after which the connection to the hub, and the process that "
            "holds it, end; a sale on a new connection costs about four times the bytes",
        ),
    ] = 120
