"""The club's rules once more, written slowly: what a purchase contributes, in exact rationals.

Nothing here is ours: no module of the package is imported (a test reads the imports), the calendar is
persiantools', and every number is worked out from the programme as a shopkeeper would, without carries.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

from persiantools.jdatetime import JalaliDate

TEHRAN = ZoneInfo("Asia/Tehran")
DAY_S = 86_400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = {"month": 1, "quarter": 3, "half-year": 6}

Bonus = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """A programme as data; `text` writes it as a merchant would. Percentages are whole numbers."""

    version: int
    points: int
    per: int
    minimum: int = 0
    stacking: str = "add"
    cap_payment: int = 0
    cap_day: int = 0
    months: int = 0
    rounded: str = "none"
    pending_hours: int = 0
    metric: str = "spend"
    tiers: tuple[tuple[str, int, int], ...] = ()  # (id, at least, extra percent)
    stamps: tuple[tuple[str, int, int], ...] = ()  # (id, gap in hours, at least)
    bonuses: tuple[tuple[str, Bonus], ...] = ()
    rewards: tuple[tuple[str, int], ...] = ()  # (id, points it costs)
    hold_minutes: int = 15

    def text(self) -> str:
        """The document."""
        lines = ["schema = 1", "[name]", 'fa = "مغازه"', f'en = "Shop {self.version}"', "[earn]"]
        lines += [f"points = {self.points}", f"per = {self.per}", f"minimum = {self.minimum}"]
        lines += [f'stacking = "{self.stacking}"', "[cap]", f"payment = {self.cap_payment}"]
        lines += [f"day = {self.cap_day}", "[expiry]", f"months = {self.months}"]
        lines += [f'round = "{self.rounded}"'] if self.months else []
        lines += ["[pending]", f"hours = {self.pending_hours}"]
        lines += ["[redeem]", f"hold_minutes = {self.hold_minutes}"] if self.rewards else []
        lines += ["[tiers]", f'metric = "{self.metric}"'] if self.tiers else []
        for name, at_least, extra in self.tiers:
            lines += [f"[tier.{name}]", 'name_fa = "رده"', f"at_least = {at_least}", f"extra = {extra}"]
        for name, gap, at_least in self.stamps:
            lines += [f"[stamp.{name}]", 'name_fa = "مهر"', "needed = 12", f"gap_hours = {gap}"]
            lines += [f"at_least = {at_least}"]
        for name, points in self.rewards:
            lines += [f"[reward.{name}]", 'kind = "threshold"', 'name_fa = "هدیه"', f"points = {points}"]
        for name, bonus in self.bonuses:
            lines.append(f"[bonus.{name}]")
            lines += [f"{key} = {_written(value)}" for key, value in bonus.items()]
        return "\n".join(lines) + "\n"


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return str(value)


@dataclass
class Buyer:
    """What the rules may look at of whoever buys."""

    somebody: bool
    visits: int = 0
    tier: str = ""
    first_at: int = 0
    last_at: int = 0
    birthday: tuple[int, int] | None = None
    has_sender: bool = False
    used: dict[str, int] = field(default_factory=dict)  # rule -> the period it was used in
    today: Fraction = Fraction(0)  # contributed on the day of the purchase so far
    stamped: dict[str, int] = field(default_factory=dict)  # stamp card -> when the last one was given


@dataclass(frozen=True)
class Earned:
    """What a purchase contributes under its rules and what it uses up."""

    full: Fraction  # before caps
    fixed: int
    contribution: Fraction
    available_at: int
    expires_at: int
    used: tuple[tuple[str, int], ...]
    stamps: tuple[str, ...]
    for_sender: int


def jalali(day: date) -> tuple[int, int, int]:
    """(year, month, day)."""
    on = JalaliDate(day)  # type: ignore[no-untyped-call]
    return on.year, on.month, on.day


def gregorian(year: int, month: int, day: int) -> date:
    """The date of a Jalali day."""
    on: date = JalaliDate(year, month, day).to_gregorian()  # type: ignore[no-untyped-call]
    return on


def local(at: int) -> datetime:
    """The shop's wall clock."""
    return datetime.fromtimestamp(at, TEHRAN)


def earned(rules: Rules, amount: int, at: int, buyer: Buyer) -> Earned | None:
    """What a purchase of so many rials earns; None when it is below the minimum."""
    if amount < rules.minimum:
        return None
    rate = Fraction(rules.points, rules.per)
    if buyer.somebody and rules.tiers:
        now = buyer.tier or next((name for name, least, _ in rules.tiers if least == 0), "")
        rate *= 1 + Fraction(sum(extra for name, _, extra in rules.tiers if name == now), 100)
    base = amount * rate
    found = [
        (name, bonus) for name, bonus in rules.bonuses if amount and _applies(name, bonus, amount, at, buyer)
    ]
    found.sort(key=lambda each: (-each[1].get("priority", 0), each[0]))
    senders = sum(bonus.get("referrer_points", 0) for _, bonus in found)
    if rules.stacking == "best" and found:
        best = max(base * bonus.get("extra", 0) / 100 + bonus.get("points", 0) for _, bonus in found)
        found = [e for e in found if base * e[1].get("extra", 0) / 100 + e[1].get("points", 0) == best][:1]
    elif rules.stacking == "exclusive":
        found = found[:1]
    fixed = sum(bonus.get("points", 0) for _, bonus in found)
    extras = [Fraction(bonus.get("extra", 0), 100) for _, bonus in found]
    if rules.stacking == "multiply":
        for extra in extras:
            base *= 1 + extra
    else:
        base *= 1 + sum(extras, Fraction(0))
    full = base + fixed
    return Earned(
        full,
        fixed,
        _capped(rules, full, buyer),
        at + rules.pending_hours * 3600 if rules.pending_hours else 0,
        lapse_of(rules, at),
        tuple((name, period) for name, bonus in found if (period := _right(bonus, at, buyer)) is not None),
        tuple(
            name
            for name, gap, least in rules.stamps
            if buyer.somebody and _stamped(gap, least, name, amount, at, buyer)
        ),
        senders,
    )


def _capped(rules: Rules, points: Fraction, buyer: Buyer) -> Fraction:
    if rules.cap_payment:
        points = min(points, Fraction(rules.cap_payment))
    if rules.cap_day and buyer.somebody:
        points = min(points, max(Fraction(0), rules.cap_day - buyer.today))
    return points


def _stamped(gap: int, least: int, name: str, amount: int, at: int, buyer: Buyer) -> bool:
    last = buyer.stamped.get(name)
    return amount >= least and (last is None or abs(at - last) >= gap * 3600)


def _applies(name: str, bonus: Bonus, amount: int, at: int, buyer: Buyer) -> bool:  # noqa: PLR0911
    now = local(at)
    if "weekdays" in bonus and WEEKDAYS[now.weekday()] not in bonus["weekdays"]:
        return False
    if "hours" in bonus:
        start, end = bonus["hours"].split("-")
        clock = f"{now:%H:%M}"
        inside = start <= clock < end if start < end else clock >= start or clock < end
        if not inside:
            return False
    least, below = bonus.get("at_least", 0), bonus.get("below", amount + 1)
    if not least <= amount < below:
        return False
    kind = bonus["kind"]
    if kind in ("always", "happy-hours", "amount"):
        return True
    if not buyer.somebody:
        return False
    match kind:
        case "first-purchase":
            return buyer.visits == 0
        case "visit":
            number, which = buyer.visits + 1, int(bonus["visit"])
            return number % which == 0 if bonus.get("repeat") else number == which
        case "referral":
            return buyer.visits == 0 and buyer.has_sender
        case "lapsed":
            away = (now.date() - local(buyer.last_at).date()).days if buyer.last_at else -1
            return away >= int(bonus["away_days"])
        case "birthday":
            year = _right(bonus, at, buyer)
            return year is not None and buyer.used.get(name, year - 1) < year
        case _:
            raise AssertionError(kind)


def _right(bonus: Bonus, at: int, buyer: Buyer) -> int | None:
    """The Jalali year of the birthday that is near; what is no yearly right has none."""
    if bonus["kind"] != "birthday" or buyer.birthday is None:
        return None
    today = local(at).date()
    month, day = buyer.birthday
    this, _, _ = jalali(today)
    for year in (this, this - 1, this + 1):
        last = JalaliDate.days_in_month(month, year)
        on = gregorian(year, month, min(day, last))
        if on - timedelta(days=3) <= today <= on + timedelta(days=3):
            return year
    return None


def lapse_of(rules: Rules, at: int) -> int:
    """The UTC second at which points earned at `at` lapse; 0: never."""
    if not rules.months:
        return 0
    year, month, number = jalali(local(at).date())
    year, month = year + (month - 1 + rules.months) // 12, (month - 1 + rules.months) % 12 + 1
    number = min(number, JalaliDate.days_in_month(month, year))
    if rules.rounded != "none":
        length = MONTHS[rules.rounded]
        month = -(-month // length) * length
        number = JalaliDate.days_in_month(month, year)
    after = gregorian(year, month, number) + timedelta(days=1)
    return int(datetime.combine(after, time(), TEHRAN).astimezone(UTC).timestamp())


def left_of(amount: int, left: int, full: Fraction, fixed: int, contribution: Fraction) -> Fraction:
    """What a purchase still contributes when `left` of its `amount` is left: its own multiplier and caps
    hold, and fixed points go in proportion, whole."""
    if left == amount:
        return contribution
    uncapped = (full - fixed) * left / amount + floor(Fraction(fixed * left, amount))
    return min(uncapped, contribution)
