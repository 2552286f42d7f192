"""What a ledger's club owes now, read from its books: `vafa report liability`. Writes nothing."""

import sqlite3
from fractions import Fraction

import msgspec

from vafa.app.programmes import in_force
from vafa.books import till as tills
from vafa.books.rows import HoldState
from vafa.club.worth import point_value
from vafa.insight.liability import breakage, liability
from vafa.model.events import Kind
from vafa.model.lots import Lot

DAY_S = 86_400
SOON_DAYS = (30, 90)
_lots = msgspec.msgpack.Decoder(list[Lot])


class Owing(msgspec.Struct, frozen=True):
    """Points outstanding, and what they may cost in rial (None: the programme does not say their worth).

    members, waiting   points of members; points nobody has claimed yet
    held, pending      of the members': set aside for a reward; not usable yet
    debt               points that members owe
    lapsing            days ahead -> points that lapse by then if nobody redeems them
    breakage_permille  (low, high) share of points that lapse; `ended`: redemptions and lapses it is seen over
    offers             single-use offers that nobody has used yet: what they cost depends on what is bought
    """

    at: int
    members: int
    waiting: int
    held: int
    pending: int
    debt: int
    lapsing: dict[int, int]
    redeemed: int
    lapsed: int
    point_value: str | None
    rial: int | None
    rial_low: int | None
    rial_high: int | None
    breakage_permille: tuple[int, int]
    ended: int
    offers: int = 0


def owing(connection: sqlite3.Connection, now_s: int) -> Owing:
    """At a UTC second; lots that lapsed before it are not outstanding any more."""
    found = connection.execute("SELECT till FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    sums = tills.unpack(found[0]) if found else tills.TillSums()
    owned, held, debt = connection.execute(
        "SELECT coalesce(sum(balance), 0), coalesce(sum(held), 0), coalesce(sum(debt), 0) FROM member "
        "WHERE state <> 2"
    ).fetchone()
    gone, pending, lapsing = _of_lots(connection, now_s)
    programme = in_force(connection, now_s)
    value = point_value(programme) if programme else None
    ended = _count(connection, Kind.REDEMPTION) - _of_offers(connection) + _count(connection, Kind.EXPIRE)
    expected = breakage(sums.expired, sums.redeemed, ended)
    outstanding = sums.member - gone
    cost = liability(outstanding, value, expected)
    return Owing(
        now_s, owned - gone, sums.member - owned, held, pending, debt, lapsing, sums.redeemed,
        sums.expired + gone, None if value is None else _plain(value), cost.all, cost.low, cost.high,
        ((expected.low * 1000).__floor__(), (expected.high * 1000).__ceil__()), expected.ended,
        int(connection.execute("SELECT coalesce(sum(offers), 0) FROM member").fetchone()[0]),
    )  # fmt: skip


def _of_lots(connection: sqlite3.Connection, now_s: int) -> tuple[int, int, dict[int, int]]:
    """Points of dated lots: lapsed though not posted yet, pending, lapsing within so many days."""
    gone = pending = 0
    lapsing = dict.fromkeys(SOON_DAYS, 0)
    for (packed,) in connection.execute("SELECT lots FROM member WHERE lots <> x''"):
        for lot in _lots.decode(packed):
            if lot.expires_at and lot.expires_at <= now_s:
                gone += lot.points
                continue
            pending += lot.points if lot.available_at > now_s else 0
            for days in SOON_DAYS:
                if lot.expires_at and lot.expires_at <= now_s + days * DAY_S:
                    lapsing[days] += lot.points
    return gone, pending, lapsing


def _count(connection: sqlite3.Connection, kind: Kind) -> int:
    found = connection.execute("SELECT count(*) FROM journal WHERE kind = ?", (int(kind),)).fetchone()
    return int(found[0])


def _of_offers(connection: sqlite3.Connection) -> int:
    """Redemptions that took an offer, and no points."""
    states = (int(HoldState.CAPTURED), int(HoldState.RETURNED))
    sql = "SELECT count(*) FROM hold WHERE offer <> x'' AND state IN (?, ?)"
    found = connection.execute(sql, states).fetchone()
    return int(found[0])


def _plain(value: Fraction) -> str:
    return f"{value.numerator}" if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
