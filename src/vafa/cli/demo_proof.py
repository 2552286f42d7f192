"""What the demo proves: the terminal's own journal and the words said aloud, against the ledger.

The expected points are worked out here, from the terminal's amounts alone and without the club's code: for
each customer the whole points of the sum of what they paid. The ledger is read row by row, not by asking the
daemon, so that a wrong book cannot vouch for itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

LOST, CUT = "lost answer", "power cut"


class Sale(Struct, frozen=True):
    """A transaction as the terminal's journal has it. `customer`: whoever the demo sent to pay."""

    rrn: str
    amount: int
    approved: bool
    customer: str


class Morning(Struct, frozen=True):
    """What happened in the shop.

    asked        (what it was, request id) of the sales whose end is proven by name
    repeats      each repeated request's first answer and second one
    unpaid       request ids of declined and cancelled sales
    killed_in    what the terminal was at when the daemon was killed
    exit_codes   of the verbs that were run at the end
    """

    sales: tuple[Sale, ...]
    asked: Mapping[str, str]
    repeats: tuple[tuple[object, object], ...]
    unpaid: tuple[str, ...]
    killed_in: str
    exit_codes: Mapping[str, int]


class Books(Struct, frozen=True):
    """What the ledger file holds. Awards as (rrn, amount); ends: request id -> (outcome, rrn)."""

    awards: tuple[tuple[str, int], ...]
    ends: Mapping[str, tuple[str, str]]
    points: int


class Proof(Struct, frozen=True):
    """One thing that must hold; `key` names its wording, `facts` are what was counted."""

    key: str
    holds: bool
    facts: Mapping[str, int | str]


def read_books(ledger: Path) -> Books:
    """The books of a ledger file, straight from its journal and its members' rows."""
    from vafa.ledger import reads
    from vafa.ledger.storage import connect_reader
    from vafa.model.events import Award, Kind, SaleAsked, SaleEnded, SaleOutcome

    awards: list[tuple[str, int]] = []
    ends: dict[str, tuple[str, str]] = {}
    connection = connect_reader(ledger)
    try:
        for entry in reads.entries(connection, 0, (Kind.AWARD, Kind.SALE_ASKED, Kind.SALE_ENDED)):
            match entry.event:
                case Award(paid=paid):
                    awards.append((paid.key.ref, paid.amount))
                case SaleAsked(request=request):
                    ends[request] = ("open", "")
                case SaleEnded(sale=(_, request), outcome=outcome, key=key):
                    ends[request] = (SaleOutcome(outcome).name.lower(), key.ref if key else "")
                case _:
                    continue
        (points,) = connection.execute("SELECT coalesce(sum(balance), 0) FROM member").fetchone()
    finally:
        connection.close()
    return Books(tuple(awards), ends, points)


def expected_points(sales: Iterable[Sale], points: int, per_rials: int) -> int:
    """Whole points of each customer's own sum, added up."""
    spent: Counter[str] = Counter()
    for sale in sales:
        if sale.approved:
            spent[sale.customer] += sale.amount
    return sum(rials * points // per_rials for rials in spent.values())


def prove(morning: Morning, books: Books, points: int, per_rials: int) -> list[Proof]:
    """The morning against the books, a line for each thing that must hold."""
    approved = [(sale.rrn, sale.amount) for sale in morning.sales if sale.approved]
    heard, awarded = Counter(rrn for rrn, _ in approved), Counter(rrn for rrn, _ in books.awards)
    lost = sum(1 for rrn in heard if rrn not in awarded)
    more = sum(count - heard[rrn] for rrn, count in awarded.items() if count > heard[rrn])
    differ = len({*approved} ^ {*books.awards})
    wrong = [request for request in morning.unpaid if books.ends.get(request) not in _NOT_PAID]
    expected = expected_points(morning.sales, points, per_rials)
    unlike = sum(first != second for first, second in morning.repeats)
    unsure = sum(outcome in ("open", "unsure") for outcome, _ in books.ends.values())
    return [
        Proof(
            "heard",
            bool(approved) and len(approved) == len(books.awards),
            {"approved": len(approved), "awarded": len(books.awards)},
        ),
        Proof("lost", lost == 0, {"lost": lost}),
        Proof("doubled", more == 0, {"doubled": more}),
        Proof("amounts", differ == 0, {"differ": differ}),
        Proof(
            "unpaid", bool(morning.unpaid) and not wrong, {"unpaid": len(morning.unpaid), "wrong": len(wrong)}
        ),
        Proof("points", expected == books.points, {"expected": expected, "found": books.points}),
        Proof(
            "repeats",
            bool(morning.repeats) and not unlike,
            {"repeats": len(morning.repeats), "unlike": unlike},
        ),
        _resolved("lost_answer", LOST, morning, books, awarded),
        _resolved("power_cut", CUT, morning, books, awarded),
        Proof("in_flight", morning.killed_in == "PAYING", {"state": morning.killed_in.lower()}),
        Proof("certain", unsure == 0, {"unsure": unsure}),
        *(Proof(verb, code == 0, {"code": code}) for verb, code in morning.exit_codes.items()),
    ]


_NOT_PAID = (("declined", ""), ("cancelled", ""))


def _resolved(key: str, name: str, morning: Morning, books: Books, awarded: Mapping[str, int]) -> Proof:
    outcome, rrn = books.ends.get(morning.asked.get(name, ""), ("never asked", ""))
    at_terminal = any(sale.rrn == rrn and sale.approved for sale in morning.sales)
    times = awarded.get(rrn, 0)
    holds = outcome == "resolved_paid" and at_terminal and times == 1
    return Proof(key, holds, {"outcome": outcome, "times": times})


def prove_slips(books: Books, printed: int) -> Proof:
    """The receipt printer made one slip for each award, also over the power cut."""
    awarded = len(books.awards)
    return Proof("slips", awarded == printed > 0, {"awarded": awarded, "printed": printed})


def search_card(number: str, places: Mapping[str, bytes]) -> Proof:
    """The whole card number in any of these bytes, in every spelling; the search must find planted ones."""
    found = sum(_spellings_in(number, data) for data in places.values())
    planted = sum(
        _spellings_in(number, b"\x00 log " + spelling + b"\n") > 0 for spelling in spellings(number)
    )
    size = sum(len(data) for data in places.values())
    holds = found == 0 and size > 0 and planted == len(spellings(number))
    return Proof("card", holds, {"found": found, "files": len(places), "bytes": size, "planted": planted})


def spellings(number: str) -> tuple[bytes, ...]:
    """A card number as text, wide text both ways round, packed digits, Persian digits and hex."""
    persian = number.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    return (
        number.encode(),
        number.encode("utf-16-le"),
        number.encode("utf-16-be"),
        bytes.fromhex(number),
        persian.encode(),
        number.encode().hex().encode(),
    )


def _spellings_in(number: str, data: bytes) -> int:
    return sum(data.count(spelling) for spelling in spellings(number))
