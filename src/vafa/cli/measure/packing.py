"""What an event costs as the sync packs it: alone, a hundred at once, a thousand; beside its JSON.

Under the grocery example programme, whose rules an award carries.
"""

from statistics import fmean
from typing import TYPE_CHECKING

from vafa.cli.measure.busy_shop import shop_rows
from vafa.cli.measure.figures import Measured

if TYPE_CHECKING:
    from vafa.model.chain import Row

SEEDS = (11, 13)  # one shop whose terminal is asked for each sale, one that is only heard
SALES = 1_200
ALONE = 200


def measure_packing() -> list[Measured]:
    """Bytes of payload an event, the mean over two shops; a lone event is an award."""
    from vafa.model.events import Kind

    shops = [shop_rows(seed, SALES) for seed in SEEDS]
    awards = [[row for row in rows if row.kind == Kind.AWARD][:ALONE] for rows in shops]
    json = fmean(_json_bytes(rows) for rows in shops)
    found = []
    for name, size, from_shops in (
        ("sync_alone", 1, awards),
        ("sync_100", 100, shops),
        ("sync_1000", 1_000, shops),
    ):
        costs = [_packed_bytes(rows, size) for rows in from_shops]
        note = "asked for and heard: " + ", ".join(f"{cost:.1f}" for cost in costs)
        found.append(Measured(name, fmean(costs), json, "bytes of JSON", note))
    return found


def _packed_bytes(rows: "list[Row]", size: int) -> float:
    from vafa.wire.rows import pack

    payloads = [pack(rows[first : first + size]) for first in range(0, len(rows) - size + 1, size)]
    return sum(map(len, payloads)) / (len(payloads) * size)


def _json_bytes(rows: "list[Row]") -> float:
    """As another program would send it: an object a row, names and all, tokens in base64."""
    import msgspec

    from vafa.model import events

    def said(row: "Row") -> dict[str, object]:
        event = events.decode(row.kind, row.body)
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        return {"epoch": row.epoch, "seq": row.seq, "at": row.at, "kind": row.kind, **fields}

    return len(msgspec.json.encode([said(row) for row in rows])) / len(rows)
