"""Makes the dictionary for packed rows: `python -m vafa.cli.measure.dictionary FILE` (scripts/dictionary).

From the plain streams of payloads of many sizes, most of them lone awards, of generated shops. Reproducible:
everything by chance comes from a seed. A dictionary that has shipped is never made anew under its name: what
was packed with it must unpack for ever, so a better one is another file and form (wire.compress.Form).
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from vafa.cli.measure.busy_shop import shop_rows

if TYPE_CHECKING:
    from vafa.model.chain import Row

PROGRAMMES = (
    "grocery", "cafe", "restaurant", "plain", "cafe", "restaurant", "grocery", "cafe", "restaurant",
)  # fmt: skip
SHOPS, SALES, SEED = 36, 700, 100
BYTES = 12_288
ALONE = 300  # awards of a shop, each a payload
SIZES = ((1, 20), (2, 10), (5, 8), (20, 4), (100, 2))  # (rows a payload, payloads of a shop)


class _Drawn:
    """In the place of `secrets` for claim codes, so that the same shop has the same ones."""

    def __init__(self, random: Random) -> None:
        self.randbelow = random.randrange
        self.token_bytes = random.randbytes


def samples(shops: Sequence["Sequence[Row]"], random: Random) -> Iterator[bytes]:
    """Plain streams of payloads as a courier would pack them."""
    from vafa.model.events import Kind
    from vafa.wire.rows import streams

    for rows in shops:
        awards = [row for row in rows if row.kind == Kind.AWARD]
        for _ in range(ALONE):
            yield streams([awards[random.randrange(len(awards))]])[1]
        for size, count in SIZES:
            for _ in range(count):
                first = random.randrange(len(rows) - size)
                yield streams(rows[first : first + size])[1]


def made(shops: Sequence["Sequence[Row]"]) -> bytes:
    """The dictionary."""
    from vafa.wire.compress import trained

    return trained(samples(shops, Random(SEED)), BYTES)  # noqa: S311 - which payloads, no secret


def main() -> None:
    """Write it to the file named."""
    from vafa.app import counter

    drawn = _Drawn(Random(SEED))  # noqa: S311 - invented claim codes
    vars(counter)["secrets"] = drawn
    shops = [shop_rows(SEED + number, SALES, PROGRAMMES[number % len(PROGRAMMES)]) for number in range(SHOPS)]
    Path(sys.argv[1]).write_bytes(made(shops))


if __name__ == "__main__":
    main()
