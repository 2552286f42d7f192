"""The programme document: the club's rules as a merchant writes them, and the hash that names them.

A document is TOML. Its canonical form is TOML too: one `place = value` line a setting, sorted by place, with
every setting left out that holds its default. So blanks, key order, comments and spelled-out defaults never
change the hash, and a setting added in a later release (whose default is "as before") leaves the hash of
every document alone that was hashed before it existed (settings.py). `schema` is raised when it cannot be
helped.

Source: LOYALTY.md §1 to §8.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b

from msgspec import Struct

from vafa.club.settings import GROUPS, NAME_CHARS_MAX, PER_MAX, POINTS_MAX, SETTINGS, Value, written
from vafa.model.money import Currency

__all__ = ["NAME_CHARS_MAX", "PER_MAX", "POINTS_MAX", "Programme", "document", "parse"]

SCHEMA = 1
DOCUMENT_CHARS_MAX = 65_536
ID_BYTES = 8

IMPERSONAL_KINDS = frozenset({"always", "happy-hours", "amount"})
CURRENCIES = {"IRR": Currency.RIAL_CURRENT}


class Entry(Struct, frozen=True, kw_only=True):
    """One `[group.id]` of a document; `id` is what the merchant called it."""

    id: str


class Bonus(Entry, frozen=True, kw_only=True):
    """Something that earns more: `extra` percent on top, `points` fixed, or both. Which fields a kind uses
    stands in docs/programme.md; days are local days, `from_day` and `until_day` included."""

    kind: str
    extra: int = 0
    points: int = 0
    from_day: str = ""
    until_day: str = ""
    priority: int = 0
    weekdays: tuple[str, ...] = ()
    hours: str = ""
    at_least: int = 0
    below: int = 0
    visit: int = 0
    repeat: bool = False
    days_before: int = 3
    days_after: int = 3
    limit: str = "once"
    away_days: int = 0
    within_days: int = 30
    referrer_points: int = 0

    @property
    def is_personal(self) -> bool:
        """True when who buys decides whether it applies."""
        return self.kind not in IMPERSONAL_KINDS


class Tier(Entry, frozen=True, kw_only=True):
    """Reached at `at_least` of the metric; earns at a rate of its own, or `extra` percent on top of it."""

    at_least: int
    name_fa: str
    name_en: str = ""
    points: int = 0
    per: int = 0
    extra: int = 0


class StampCard(Entry, frozen=True, kw_only=True):
    """Buy `needed`, get one. A purchase gives one stamp, once per `gap_hours`."""

    name_fa: str
    needed: int
    name_en: str = ""
    gap_hours: int = 0
    at_least: int = 0


class Reward(Entry, frozen=True, kw_only=True):
    """What points or stamps are given for.

    amount-off             `rial` off for each `points`, between min_points and max_points in steps of `step`
    threshold, free-item   one for `points`; stamps: one for a full card `stamp`
    cost                   what it costs the shop, minor units
    """

    kind: str
    name_fa: str
    name_en: str = ""
    points: int = 0
    rial: int = 0
    min_points: int = 0
    max_points: int = 0
    step: int = 0
    stamp: str = ""
    cost: int = 0


class OfferTemplate(Entry, frozen=True, kw_only=True):
    """A single-use offer as it is given: what it brings, how long it holds, and who gets it by itself.

    at_least, max_discount   of the purchase it is used for, minor units; the other fields say who gets it
    """

    name_fa: str
    valid_days: int
    name_en: str = ""
    extra: int = 0
    points: int = 0
    discount: int = 0
    percent_off: int = 0
    grant: str = "by-hand"
    away_days: int = 0
    priority: int = 0
    at_least: int = 0
    max_discount: int = 0
    days_before: int = 0
    from_amount: int = 0
    visit: int = 0
    repeat: bool = False
    every_rial: int = 0
    segment: str = ""


class Segment(Entry, frozen=True, kw_only=True):
    """Some of the members: those for whom all that it says is so. Days are local, both ends included."""

    name_fa: str
    name_en: str = ""
    tier: str = ""
    away_days: int = 0
    seen_days: int = 0
    visits_at_least: int = 0
    visits_below: int = 0
    spent_at_least: int = 0
    balance_at_least: int = 0
    joined_from: str = ""
    joined_until: str = ""
    joined_days: int = 0


class Programme(Struct, frozen=True, dict=True):
    """One immutable version of the rules: `points` points for every `per` minor units of `currency`.

    minimum   a sale below it (minor units) earns nothing
    name_en   '' when the merchant gave only the Persian name
    The other fields are those of settings.py; entries are sorted by id.
    """

    name_fa: str
    points: int
    per: int
    name_en: str = ""
    currency: str = "IRR"
    minimum: int = 0
    stacking: str = "add"
    tip_counts: bool = False
    delivery_counts: bool = True
    vat_counts: bool = True
    new_points: int = 0
    new_per: int = 0
    new_minimum: int = 0
    cap_payment: int = 0
    cap_day: int = 0
    budget: int = 0
    expiry_months: int = 0
    expiry_round: str = "none"
    pending_hours: int = 0
    pending_days: int = 0
    calendar: str = "jalali"
    zone: str = "Asia/Tehran"
    metric: str = "spend"
    window: str = "ever"
    window_days: int = 0
    downgrade: str = "one_down"
    evaluate: str = "year"
    grace_days: int = 0
    inactive_months: int = 0
    hold_minutes: int = 15
    redeem_min_balance: int = 0
    redeem_max_percent: int = 100
    redeem_per_day: int = 0
    point_value: int = 0
    debt_cap: int = 0
    bonuses: tuple[Bonus, ...] = ()
    tiers: tuple[Tier, ...] = ()
    stamps: tuple[StampCard, ...] = ()
    rewards: tuple[Reward, ...] = ()
    offers: tuple[OfferTemplate, ...] = ()
    segments: tuple[Segment, ...] = ()

    @cached_property
    def rate(self) -> Fraction:
        """Points per minor unit."""
        return Fraction(self.points, self.per)

    def rate_in(self, currency: int) -> Fraction | None:
        """Points per minor unit of a currency epoch; None when the document has no rate for it."""
        if currency == CURRENCIES[self.currency]:
            return self.rate
        if currency == Currency.RIAL_NEW and self.new_per:
            return Fraction(self.new_points, self.new_per)
        return None

    def minimum_in(self, currency: int) -> int:
        """The smallest sale that earns, in minor units of a currency epoch that has a rate."""
        return self.new_minimum if currency == Currency.RIAL_NEW else self.minimum

    @cached_property
    def is_plain(self) -> bool:
        """True when a sale's points follow from its amount alone: nothing is to be looked at or kept."""
        return not (
            self.bonuses or self.tiers or self.stamps or self.offers or self.cap_payment or self.cap_day
            or self.budget or self.expiry_months or self.pending_hours or self.pending_days
        )  # fmt: skip

    @cached_property
    def looks_at_standing(self) -> bool:
        """True when a sale's points follow from more of its holder than their tier."""
        return bool(self.cap_day or self.stamps or any(bonus.is_personal for bonus in self.bonuses))

    def name(self, lang: str) -> str:
        """The shop's name on paper in `lang` ('fa' or 'en')."""
        return self.name_en if lang == "en" and self.name_en else self.name_fa

    @cached_property
    def canonical(self) -> bytes:
        """The canonical document, UTF-8. It parses to this programme again."""
        lines = [f"schema = {SCHEMA}"]
        lines += [f"{place} = {written(value)}" for place, value in sorted(self.settings())]
        return "".join(line + "\n" for line in lines).encode()

    def settings(self) -> Iterator[tuple[str, Value]]:
        """(place, value) of every setting that does not hold its default."""
        for place, setting in SETTINGS.items():
            value: Value = getattr(self, setting.field)
            if value != setting.default:
                yield place, value
        for group, field in GROUP_FIELDS.items():
            for entry in getattr(self, field):
                for name, setting in GROUPS[group].items():
                    value = getattr(entry, setting.field)
                    if value != setting.default:
                        yield f"{group}.{entry.id}.{name}", value

    @cached_property
    def hash(self) -> bytes:
        """BLAKE2b-256 of the canonical document (`b2sum -l 256` of it gives the same)."""
        return blake2b(self.canonical, digest_size=32).digest()

    @cached_property
    def id(self) -> bytes:
        """What awards store: the first eight bytes of the hash."""
        return self.hash[:ID_BYTES]


GROUP_FIELDS = {
    "bonus": "bonuses", "tier": "tiers", "stamp": "stamps", "reward": "rewards", "offer": "offers",
    "segment": "segments",
}  # fmt: skip
ENTRY_TYPES: dict[str, type[Entry]] = {
    "bonus": Bonus, "tier": Tier, "stamp": StampCard, "reward": Reward, "offer": OfferTemplate,
    "segment": Segment,
}  # fmt: skip


def parse(text: str, name: str = "programme") -> Programme:
    """The programme in a TOML document. ProgrammeError with every fault at once; `name` heads its message."""
    from vafa.club.reading import read

    return read(text, name)


def parse_stored(text: str, name: str) -> Programme:
    """The programme in a document that somebody accepted before: in a journal, or at the hub."""
    from vafa.club.reading import read_stored

    return read_stored(text, name)


def document(programme: Programme) -> str:
    """The text ProgrammeActivated carries: it gives `p.hash` when stored, on any device, for ever."""
    return programme.canonical.decode()
