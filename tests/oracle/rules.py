"""A programme as data, and as the text a merchant would write. Nothing here is ours."""

from dataclasses import dataclass, field, fields
from typing import Any

Entry = dict[str, Any]
Entries = tuple[tuple[str, Entry], ...]
NAMED = {"tier": "رده", "stamp": "مهر", "reward": "هدیه", "offer": "پیشنهاد", "segment": "گروه"}
# Where a setting stands in the document; those that hold what is said here are left out.
SETTINGS: dict[str, tuple[str, Any]] = {
    "points": ("earn.points", None),
    "per": ("earn.per", None),
    "minimum": ("earn.minimum", 0),
    "stacking": ("earn.stacking", "add"),
    "tip_counts": ("earn.tip_counts", False),
    "vat_counts": ("earn.vat_counts", True),
    "new_points": ("new_rial.points", 0),
    "new_per": ("new_rial.per", 0),
    "new_minimum": ("new_rial.minimum", 0),
    "cap_payment": ("cap.payment", 0),
    "cap_day": ("cap.day", 0),
    "budget": ("cap.budget", 0),
    "months": ("expiry.months", 0),
    "rounded": ("expiry.round", "none"),
    "pending_hours": ("pending.hours", 0),
    "pending_days": ("pending.days", 0),
    "metric": ("tiers.metric", "spend"),
    "window": ("tiers.window", "ever"),
    "window_days": ("tiers.days", 0),
    "downgrade": ("tiers.downgrade", "one_down"),
    "evaluate": ("tiers.evaluate", "year"),
    "grace_days": ("tiers.grace_days", 0),
    "inactive_months": ("tiers.inactive_months", 0),
    "hold_minutes": ("redeem.hold_minutes", 15),
    "min_balance": ("redeem.min_balance", 0),
    "max_percent": ("redeem.max_percent", 100),
    "per_day": ("redeem.per_day", 0),
    "debt_cap": ("redeem.debt_cap", 0),
}


@dataclass(frozen=True)
class Rules:
    """Percentages are whole numbers, amounts rial, entries as in the document. `unit`: what the amounts of
    this world are multiples of; no setting of the programme."""

    version: int
    points: int
    per: int
    minimum: int = 0
    stacking: str = "add"
    tip_counts: bool = False
    vat_counts: bool = True
    new_points: int = 0
    new_per: int = 0
    new_minimum: int = 0
    cap_payment: int = 0
    cap_day: int = 0
    budget: int = 0
    months: int = 0
    rounded: str = "none"
    pending_hours: int = 0
    pending_days: int = 0
    metric: str = "spend"
    window: str = "ever"
    window_days: int = 0
    downgrade: str = "one_down"
    evaluate: str = "year"
    grace_days: int = 0
    inactive_months: int = 0
    tiers: Entries = ()
    stamps: Entries = ()
    bonuses: Entries = ()
    rewards: Entries = ()
    offers: Entries = ()
    segments: Entries = ()
    hold_minutes: int = 15
    min_balance: int = 0
    max_percent: int = 100
    per_day: int = 0
    debt_cap: int = 0
    unit: int = field(default=1, compare=False)

    def text(self) -> str:
        """The document."""
        lines = ["schema = 1", 'name.fa = "مغازه"', f'name.en = "Shop {self.version}"']
        for each in fields(self):
            if each.name not in SETTINGS:
                continue
            place, usual = SETTINGS[each.name]
            value = getattr(self, each.name)
            if value != usual:
                lines.append(f"{place} = {_written(value)}")
        groups = {
            "tier": self.tiers, "stamp": self.stamps, "bonus": self.bonuses, "reward": self.rewards,
            "offer": self.offers, "segment": self.segments,
        }  # fmt: skip
        for group, entries in groups.items():
            for name, entry in entries:
                lines.append(f"[{group}.{name}]")
                lines += [f'name_fa = "{NAMED[group]}"'] if group in NAMED else []
                lines += [f"{key} = {_written(value)}" for key, value in entry.items()]
        return "\n".join(lines) + "\n"

    def reward(self, name: str) -> Entry:
        return dict(self.rewards)[name]

    def ladder(self) -> list[str]:
        """The tiers' names, the lowest first."""
        return [name for name, tier in sorted(self.tiers, key=lambda each: int(each[1]["at_least"]))]

    def reached(self, metric: int) -> str:
        """The highest tier whose threshold so much reaches, '' for none."""
        there = [name for name in self.ladder() if dict(self.tiers)[name]["at_least"] <= metric]
        return there[-1] if there else ""

    def everybodys(self) -> str:
        """The tier that needs nothing, '' where there is none."""
        return next((name for name, tier in self.tiers if tier["at_least"] == 0), "")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return str(value)
