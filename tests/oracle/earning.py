"""The club's rules once more, written slowly: what a purchase contributes, in exact rationals.

Nothing here is ours: no module of the package is imported (a test reads the imports), and every number is
worked out from the programme as a shopkeeper would, without carries.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from math import floor

from oracle.days import DAY_S, day_of, jalali, last_of, local, midnight, months_after, near, read
from oracle.rules import Entry, Rules

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEW_RIAL = 10_000  # of today's
NOBODYS = ("always", "happy-hours", "amount")  # bonuses that look at nobody
Parts = tuple[tuple[str, int], ...]  # of what was paid: (what for, how much)


@dataclass(frozen=True)
class Bill:
    """What was paid, in which rial, when; parts of it may earn nothing."""

    amount: int
    at: int
    new_rial: bool = False
    parts: Parts = ()

    def in_rial(self, amount: int) -> int:
        """So much of it in today's rial."""
        return amount * NEW_RIAL if self.new_rial else amount

    def eligible(self, rules: Rules) -> int:
        """What of it may earn."""
        lost = sum(
            amount for what, amount in self.parts
            if what in ("cashback", "points")
            or (what == "tip" and not rules.tip_counts)
            or (what == "vat" and not rules.vat_counts)
        )  # fmt: skip
        return max(0, self.amount - lost)


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
    feedback_at: int = 0


@dataclass(frozen=True)
class Earned:
    """What a purchase contributes under its rules and what it uses up. `clipped`: by which caps."""

    eligible: int
    full: Fraction  # before caps
    fixed: int
    contribution: Fraction
    clipped: tuple[str, ...]
    available_at: int
    expires_at: int
    used: tuple[tuple[str, int], ...]
    stamps: tuple[str, ...]
    for_sender: int
    kinds: tuple[str, ...]  # of the bonuses that count
    coupon: int | None  # the place of the one that is used up


def earned(
    rules: Rules, bill: Bill, buyer: Buyer, given: Fraction, coupons: tuple[tuple[str, Entry], ...] = ()
) -> Earned | None:
    """What a purchase earns when the programme has `given` so much already; None when it earns nothing.
    A coupon that brings nothing more is not used up."""
    got = _earned(rules, bill, buyer, given, coupons)
    without = _earned(rules, bill, buyer, given, ()) if got and got.coupon is not None else None
    in_vain = got and without and got.contribution == without.contribution
    return without if in_vain else got


def _earned(
    rules: Rules, bill: Bill, buyer: Buyer, given: Fraction, coupons: tuple[tuple[str, Entry], ...]
) -> Earned | None:
    if bill.new_rial and not rules.new_per:
        return None
    if bill.amount < (rules.new_minimum if bill.new_rial else rules.minimum):
        return None
    eligible = bill.eligible(rules)
    base = eligible * _rate(rules, bill, buyer)
    comparable = bill.in_rial(eligible)
    found = [
        (name, bonus)
        for name, bonus in rules.bonuses
        if eligible and _applies(name, bonus, comparable, bill.at, buyer)
    ]
    found += [
        (name, {**entry, "kind": "offer", "place": place})
        for place, (name, entry) in enumerate(coupons) if eligible
    ]  # fmt: skip
    found.sort(key=lambda each: (-each[1].get("priority", 0), each[0]))
    senders = sum(bonus.get("referrer_points", 0) for _, bonus in found)
    found = _stacking(rules, base, found)
    fixed = sum(bonus.get("points", 0) for _, bonus in found)
    extras = [Fraction(bonus.get("extra", 0), 100) for _, bonus in found]
    if rules.stacking == "multiply":
        for extra in extras:
            base *= 1 + extra
    else:
        base *= 1 + sum(extras, Fraction(0))
    full = base + fixed
    contribution, clipped = _capped(rules, full, buyer, given)
    rights = ((name, right_of(bonus, bill.at, buyer)) for name, bonus in found)
    return Earned(
        eligible, full, fixed, contribution, clipped,
        available_of(rules, bill.at),
        lapse_of(rules, bill.at),
        tuple((name, period) for name, period in rights if period is not None),
        tuple(name for name, card in rules.stamps
              if buyer.somebody and _stamped(name, card, comparable, bill.at, buyer)),
        senders,
        tuple(bonus["kind"] for _, bonus in found),
        next((bonus["place"] for _, bonus in found if "place" in bonus), None),
    )  # fmt: skip


def _rate(rules: Rules, bill: Bill, buyer: Buyer) -> Fraction:
    """Points for each unit of the bill's own rial."""
    rate = Fraction(rules.points, rules.per)
    if bill.new_rial:
        rate = Fraction(rules.new_points, rules.new_per)
    if not buyer.somebody or not rules.tiers:
        return rate
    tiers = dict(rules.tiers)
    tier = tiers.get(buyer.tier) or tiers.get(rules.everybodys(), {})
    if "per" in tier:
        rate = bill.in_rial(1) * Fraction(tier["points"], tier["per"])
    return rate * (1 + Fraction(tier.get("extra", 0), 100))


def _stacking(rules: Rules, base: Fraction, found: list[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    """Those that count, of bonuses in their order."""
    if rules.stacking == "best" and found:
        gains = [base * bonus.get("extra", 0) / 100 + bonus.get("points", 0) for _, bonus in found]
        return [found[gains.index(max(gains))]]
    return found[:1] if rules.stacking == "exclusive" else found


def _capped(
    rules: Rules, points: Fraction, buyer: Buyer, given: Fraction
) -> tuple[Fraction, tuple[str, ...]]:
    rooms = {"payment": Fraction(rules.cap_payment)} if rules.cap_payment else {}
    if rules.cap_day and buyer.somebody:
        rooms["day"] = rules.cap_day - buyer.today
    if rules.budget:
        rooms["budget"] = rules.budget - given
    clipped = []
    for cap, room in rooms.items():
        left = min(points, max(Fraction(0), room))
        clipped += [cap] * (left < points)
        points = left
    return points, tuple(clipped)


def _stamped(name: str, card: Entry, amount: int, at: int, buyer: Buyer) -> bool:
    last = buyer.stamped.get(name)
    far = last is None or abs(at - last) >= card.get("gap_hours", 0) * 3600
    return far and bool(amount >= card.get("at_least", 0))


def _applies(name: str, bonus: Entry, amount: int, at: int, buyer: Buyer) -> bool:
    if not _in_time(bonus, at):
        return False
    least, below = bonus.get("at_least", 0), bonus.get("below", amount + 1)
    if not least <= amount < below:
        return False
    return bonus["kind"] in NOBODYS or (buyer.somebody and _for_whom(name, bonus, at, buyer))


def _in_time(bonus: Entry, at: int) -> bool:
    now = local(at)
    if "weekdays" in bonus and WEEKDAYS[now.weekday()] not in bonus["weekdays"]:
        return False
    if "from" in bonus and now.date() < read(bonus["from"]):
        return False
    if "until" in bonus and now.date() > read(bonus["until"]):
        return False
    if "hours" not in bonus:
        return True
    start, end = bonus["hours"].split("-")
    clock = f"{now:%H:%M}"
    return bool(start <= clock < end if start < end else clock >= start or clock < end)


def _for_whom(name: str, bonus: Entry, at: int, buyer: Buyer) -> bool:  # noqa: PLR0911 - a kind a line
    match bonus["kind"]:
        case "first-purchase":
            return buyer.visits == 0
        case "visit":
            number, which = buyer.visits + 1, int(bonus["visit"])
            return number % which == 0 if bonus.get("repeat") else number == which
        case "referral":
            return buyer.visits == 0 and buyer.has_sender
        case "lapsed":
            away = (day_of(at) - day_of(buyer.last_at)).days if buyer.last_at else -1
            return away >= int(bonus["away_days"])
        case "feedback":
            said = buyer.feedback_at
            fresh = said and buyer.used.get(name) != said
            return bool(fresh and said <= at <= said + bonus.get("within_days", 30) * DAY_S)
        case "birthday" | "anniversary":
            year = _year_of(bonus, at, buyer)
            if year is None:
                return False
            return bonus.get("limit", "once") == "every" or buyer.used.get(name, year - 1) < year
        case kind:
            raise AssertionError(kind)


def _year_of(bonus: Entry, at: int, buyer: Buyer) -> int | None:
    """The Jalali year of the birthday, or of the day of the first purchase, that is near."""
    today = day_of(at)
    days = bonus.get("days_before", 3), bonus.get("days_after", 3)
    if bonus["kind"] == "birthday":
        return near(today, *buyer.birthday, *days) if buyer.birthday else None
    if not buyer.first_at:
        return None
    year, month, number = jalali(day_of(buyer.first_at))
    found = near(today, month, number, *days)
    return found if found is not None and found > year else None


def right_of(bonus: Entry, at: int, buyer: Buyer) -> int | None:
    """The period of a right that is used up; None for what comes again and again."""
    if bonus["kind"] == "feedback":
        return buyer.feedback_at
    if bonus["kind"] in ("birthday", "anniversary") and bonus.get("limit", "once") == "once":
        return _year_of(bonus, at, buyer)
    return None


def available_of(rules: Rules, at: int) -> int:
    """The UTC second from which points earned at `at` can be used; 0: at once."""
    if rules.pending_hours:
        return at + rules.pending_hours * 3600
    if rules.pending_days:
        return midnight(day_of(at) + timedelta(days=rules.pending_days))
    return 0


def lapse_of(rules: Rules, at: int) -> int:
    """The UTC second at which points earned at `at` lapse; 0: never."""
    if not rules.months:
        return 0
    last = last_of(months_after(day_of(at), rules.months), rules.rounded)
    return midnight(last + timedelta(days=1))


def left_of(amount: int, left: int, got: Earned) -> tuple[int, Fraction]:
    """(eligible amount, contribution) of a purchase when `left` of its `amount` is left: its own multiplier
    and caps hold, and fixed points go in proportion, whole."""
    if left == amount:
        return got.eligible, got.contribution
    if not got.eligible:
        return 0, Fraction(0)
    eligible = got.eligible * left // amount
    uncapped = (got.full - got.fixed) * eligible / got.eligible
    uncapped += floor(Fraction(got.fixed * eligible, got.eligible))
    return eligible, min(uncapped, got.contribution)
