"""Every setting a programme document may hold: its place, what it is called, its bounds and its default.

**A default is never changed, a setting never renamed or given another meaning**: the canonical form leaves
out what holds its default, so a document that was hashed years ago keeps its hash only as long as that holds.
`SECTIONS` are written `[earn]`; `GROUPS` hold entries of a merchant's own naming, written `[bonus.NAME]`.
"""

from enum import StrEnum

from msgspec import Struct

from vafa.model.money import AMOUNT_MAX

NAME_CHARS_MAX = 40  # a 58 mm slip has 32 columns, and «باشگاه مشتریان» stands before the name
# A contribution is amount × points / per: at most 10**13 × 1,000 = 10**16, and every carry is a multiple of
# 1/per below one. So every numerator and every sum of 900 of the largest sales at once stay below 2**63.
POINTS_MAX = 1_000
PER_MAX = 1_000_000_000
WHOLE_POINTS_MAX = 1_000_000_000  # of a cap, a reward, a fixed bonus
PERCENT_MAX = 10_000
DAYS_MAX = 400  # of a rolling window: a customer's row holds a number for each day of it
MONTHS_MAX = 120
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # date.weekday() counts from Monday

Value = str | int | bool | tuple[str, ...]


class Shape(StrEnum):
    """How a setting is written."""

    NUMBER = "number"
    TEXT = "text"  # a name for people
    CHOICE = "choice"
    FLAG = "flag"  # true or false
    DAY = "day"  # "1405/01/31" in the programme's calendar
    HOURS = "hours"  # "17:00-20:00", local time, the end not included
    WEEKDAYS = "weekdays"  # ["sat", "sun"]
    ENTRY = "entry"  # the name of another entry


class Setting(Struct, frozen=True):
    """One setting. `default` None: it must be there. Text is bounded in characters. `choices` of a CHOICE,
    or the one group whose entries an ENTRY may name."""

    field: str
    what: str
    default: Value | None
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    shape: Shape = Shape.NUMBER


def _number(field: str, what: str, default: int | None = 0, low: int = 0, high: int = AMOUNT_MAX) -> Setting:
    return Setting(field, what, default, low, high)


def _points(field: str, what: str = "a whole number of points", default: int | None = 0) -> Setting:
    return Setting(field, what, default, 0, WHOLE_POINTS_MAX)


def _choice(field: str, what: str, default: str | None, *choices: str) -> Setting:
    return Setting(field, what, default, choices=choices, shape=Shape.CHOICE)


def _flag(field: str, what: str, default: Value) -> Setting:
    return Setting(field, what, default, shape=Shape.FLAG)


def _name(field: str, what: str, default: str | None) -> Setting:
    return Setting(field, what, default, 1, NAME_CHARS_MAX, shape=Shape.TEXT)


_CURRENCY = ("IRR",)
SETTINGS: dict[str, Setting] = {
    "name.fa": _name("name_fa", "the shop's name in Persian", None),
    "name.en": _name("name_en", "the shop's name in English", ""),
    "earn.points": _number("points", "a whole number of points", None, 1, POINTS_MAX),
    "earn.per": _number("per", "a whole number of rial", None, 1, PER_MAX),
    "earn.currency": _choice("currency", "the currency", "IRR", *_CURRENCY),
    "earn.minimum": _number("minimum", "a whole number of rial"),
    "earn.stacking": _choice("stacking", "how bonuses add up", "add", "add", "multiply", "best", "exclusive"),
    "earn.tip_counts": _flag("tip_counts", "whether a tip earns", False),  # noqa: FBT003 - a default
    "earn.delivery_counts": _flag("delivery_counts", "whether delivery earns", True),  # noqa: FBT003
    "earn.vat_counts": _flag("vat_counts", "whether value added tax earns", True),  # noqa: FBT003
    "new_rial.points": _number("new_points", "a whole number of points", 0, 0, POINTS_MAX),
    "new_rial.per": _number("new_per", "a whole number of new rial", 0, 0, PER_MAX),
    "new_rial.minimum": _number("new_minimum", "a whole number of new rial"),
    "cap.payment": _points("cap_payment"),
    "cap.day": _points("cap_day"),
    "cap.budget": _points("budget"),
    "expiry.months": _number("expiry_months", "a whole number of months", 0, 0, MONTHS_MAX),
    "expiry.round": _choice(
        "expiry_round", "up to which end", "none", "none", "month", "quarter", "half-year"
    ),
    "pending.hours": _number("pending_hours", "a whole number of hours", 0, 0, 24 * 90),
    "pending.days": _number("pending_days", "a whole number of days", 0, 0, 90),
    "time.calendar": _choice("calendar", "the calendar", "jalali", "jalali", "gregorian"),
    "time.zone": Setting("zone", "a time zone", "Asia/Tehran", 1, NAME_CHARS_MAX, shape=Shape.TEXT),
    "tiers.metric": _choice("metric", "what makes a tier", "spend", "spend", "points", "visits"),
    "tiers.window": _choice("window", "over which time", "ever", "ever", "year", "rolling"),
    "tiers.days": _number("window_days", "a whole number of days", 0, 0, DAYS_MAX),
    "tiers.downgrade": _choice("downgrade", "how far down at once", "one_down", "one_down", "to_qualified"),
    "tiers.evaluate": _choice(
        "evaluate", "when members may go down", "year", "year", "half-year", "quarter", "month"
    ),
    "tiers.grace_days": _number("grace_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
    "tiers.inactive_months": _number("inactive_months", "a whole number of months", 0, 0, MONTHS_MAX),
    "redeem.hold_minutes": _number("hold_minutes", "a whole number of minutes", 15, 1, 24 * 60),
    "redeem.min_balance": _points("redeem_min_balance"),
    "redeem.max_percent": _number("redeem_max_percent", "a percentage of the payment", 100, 1, 100),
    "redeem.per_day": _points("redeem_per_day"),
    "redeem.point_value": _number("point_value", "a whole number of rial a point is worth", 0),
    "redeem.debt_cap": _points("debt_cap", "the most points a member may owe"),
}

_ABOUT = {
    "name_fa": _name("name_fa", "a name in Persian, for the paper", None),
    "name_en": _name("name_en", "a name in English", ""),
}
_GAIN = {
    "extra": _number("extra", "a percentage on top, 100 doubles", 0, 0, PERCENT_MAX),
    "points": _points("points"),
}
_DATES = {
    "from": Setting("from_day", "the first day", "", shape=Shape.DAY),
    "until": Setting("until_day", "the last day", "", shape=Shape.DAY),
}
GRANTS = (
    "by-hand", "lapsed", "first-purchase", "tier-up", "birthday", "purchase", "visit", "spend", "returned",
)  # fmt: skip
BONUS_KINDS = (
    "always", "happy-hours", "amount", "first-purchase", "visit", "birthday", "anniversary", "lapsed",
    "referral", "feedback",
)  # fmt: skip
GROUPS: dict[str, dict[str, Setting]] = {
    "bonus": {
        "kind": _choice("kind", "what it is for", None, *BONUS_KINDS),
        **_GAIN,
        **_DATES,
        "priority": _number("priority", "a whole number, the highest first", 0, 0, 1_000),
        "weekdays": Setting("weekdays", "days of the week", (), choices=WEEKDAYS, shape=Shape.WEEKDAYS),
        "hours": Setting("hours", "hours of the day", "", shape=Shape.HOURS),
        "at_least": _number("at_least", "a whole number of rial"),
        "below": _number("below", "a whole number of rial"),
        "visit": _number("visit", "which visit", 0, 0, 1_000),
        "repeat": _flag("repeat", "whether each such visit counts", False),  # noqa: FBT003
        "days_before": _number("days_before", "a whole number of days", 3, 0, 30),
        "days_after": _number("days_after", "a whole number of days", 3, 0, 30),
        "limit": _choice("limit", "how often in its time", "once", "once", "every"),
        "away_days": _number("away_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
        "within_days": _number("within_days", "a whole number of days", 30, 1, DAYS_MAX),
        "referrer_points": _points("referrer_points", "points for who sent them"),
    },
    "tier": {
        "at_least": _number("at_least", "rial, points or visits, as tiers.metric says", None),
        **_ABOUT,
        "points": _number("points", "a whole number of points", 0, 0, POINTS_MAX),
        "per": _number("per", "a whole number of rial", 0, 0, PER_MAX),
        "extra": _number("extra", "a percentage on top, 100 doubles", 0, 0, PERCENT_MAX),
    },
    "stamp": {
        **_ABOUT,
        "needed": _number("needed", "how many stamps make one free", None, 1, 1_000),
        "gap_hours": _number("gap_hours", "a whole number of hours", 0, 0, 24 * 31),
        "at_least": _number("at_least", "a whole number of rial"),
    },
    "reward": {
        "kind": _choice("kind", "what it is", None, "amount-off", "threshold", "free-item", "stamps"),
        **_ABOUT,
        "points": _points("points"),
        "rial": _number("rial", "a whole number of rial"),
        "min_points": _points("min_points"),
        "max_points": _points("max_points"),
        "step": _points("step"),
        "stamp": Setting("stamp", "which stamp card", "", choices=("stamp",), shape=Shape.ENTRY),
        "cost": _number("cost", "what it costs the shop, in rial"),
    },
    "offer": {
        **_ABOUT,
        **_GAIN,
        "discount": _number("discount", "a whole number of rial off"),
        "percent_off": _number("percent_off", "a percentage off", 0, 0, 100),
        "valid_days": _number("valid_days", "a whole number of days", None, 1, DAYS_MAX),
        "grant": _choice("grant", "who gets it", "by-hand", *GRANTS),
        "away_days": _number("away_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
        "priority": _number("priority", "a whole number, the highest first", 0, 0, 1_000),
        "at_least": _number("at_least", "a whole number of rial"),
        "max_discount": _number("max_discount", "the most rial a percentage takes off"),
        "days_before": _number("days_before", "a whole number of days", 0, 0, 30),
        "from_amount": _number("from_amount", "a whole number of rial"),
        "visit": _number("visit", "which visit", 0, 0, 1_000),
        "repeat": _flag("repeat", "whether each such visit counts", False),  # noqa: FBT003
        "every_rial": _number("every_rial", "a whole number of rial"),
        "segment": Setting("segment", "which segment", "", choices=("segment",), shape=Shape.ENTRY),
    },
    "segment": {
        **_ABOUT,
        "tier": Setting("tier", "which tier", "", choices=("tier",), shape=Shape.ENTRY),
        "away_days": _number("away_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
        "seen_days": _number("seen_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
        "visits_at_least": _number("visits_at_least", "a whole number of purchases", 0, 0, 1_000_000),
        "visits_below": _number("visits_below", "a whole number of purchases", 0, 0, 1_000_000),
        "spent_at_least": _number("spent_at_least", "a whole number of rial"),
        "balance_at_least": _points("balance_at_least"),
        "joined_from": Setting("joined_from", "the first day of joining", "", shape=Shape.DAY),
        "joined_until": Setting("joined_until", "the last day of joining", "", shape=Shape.DAY),
        "joined_days": _number("joined_days", "a whole number of days", 0, 0, 2 * DAYS_MAX),
    },
}  # fmt: skip
SECTIONS = frozenset(place.partition(".")[0] for place in SETTINGS)
PLACES = ("schema", *SETTINGS)
ENTRIES_MAX = 40  # of one group


def written(value: Value) -> str:
    """The value as the canonical document has it."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return quoted(value)
        case _:
            return f"[{', '.join(map(quoted, value))}]"


def quoted(text: str) -> str:
    """A TOML basic string. Texts hold no control characters, so two escapes are all there is."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
