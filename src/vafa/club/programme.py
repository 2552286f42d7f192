"""The programme document: the club's rules as a merchant writes them, and the hash that names them.

A document is TOML. Its canonical form is TOML too: one `place = value` line a setting, sorted by place, with
every setting left out that holds its default. So blanks, key order, comments and spelled-out defaults never
change the hash, and a setting added in a later release (whose default is "as before") leaves the hash of
every document alone that was hashed before it existed. For that to hold for ever: **a default is never
changed, a setting never renamed**; `schema` is raised when it cannot be helped.

Source: LOYALTY.md §1 (base rate, minimum) and §6 (canonical, hashed, immutable versions).
"""

import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b

from msgspec import Struct

from vafa.model.errors import Fault, ProgrammeError
from vafa.model.money import AMOUNT_MAX, Currency

SCHEMA = 1
DOCUMENT_CHARS_MAX = 65_536
NAME_CHARS_MAX = 40  # a 58 mm slip has 32 columns, and «باشگاه مشتریان» stands before the name
# A contribution is amount × points / per: at most 10**13 × 1,000 = 10**16, and every carry is a multiple of
# 1/per below one. So every numerator and every sum of 900 of the largest sales at once stay below 2**63.
POINTS_MAX = 1_000
PER_MAX = 1_000_000_000
ID_BYTES = 8

CURRENCIES = {"IRR": Currency.RIAL_CURRENT}
_ZWNJ = "\u200c"  # joins nothing and prints nothing, but belongs to Persian spelling


class Programme(Struct, frozen=True, dict=True):
    """One immutable version of the rules: `points` points for every `per` minor units of `currency`.

    minimum   a sale below it (minor units) earns nothing
    name_en   '' when the merchant gave only the Persian name
    """

    name_fa: str
    points: int
    per: int
    name_en: str = ""
    currency: str = "IRR"
    minimum: int = 0

    @property
    def rate(self) -> Fraction:
        """Points per minor unit."""
        return Fraction(self.points, self.per)

    def name(self, lang: str) -> str:
        """The shop's name on paper in `lang` ('fa' or 'en')."""
        return self.name_en if lang == "en" and self.name_en else self.name_fa

    @cached_property
    def canonical(self) -> bytes:
        """The canonical document, UTF-8. It parses to this programme again."""
        lines = [f"schema = {SCHEMA}"]
        for place, setting in sorted(SETTINGS.items()):
            value: str | int = getattr(self, setting.field)
            if value != setting.default:
                lines.append(f"{place} = {_quoted(value) if isinstance(value, str) else value}")
        return "".join(line + "\n" for line in lines).encode()

    @cached_property
    def hash(self) -> bytes:
        """BLAKE2b-256 of the canonical document (`b2sum -l 256` of it gives the same)."""
        return blake2b(self.canonical, digest_size=32).digest()

    @property
    def id(self) -> bytes:
        """What awards store: the first eight bytes of the hash."""
        return self.hash[:ID_BYTES]


class Setting(Struct, frozen=True):
    """One setting a document may hold. `default` None: it must be there. Text is bounded in characters."""

    field: str
    what: str
    default: str | int | None
    low: int
    high: int
    choices: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        return bool(self.choices) or self.field.startswith("name")


SETTINGS: dict[str, Setting] = {
    "name.fa": Setting("name_fa", "the shop's name in Persian", None, 1, NAME_CHARS_MAX),
    "name.en": Setting("name_en", "the shop's name in English", "", 1, NAME_CHARS_MAX),
    "earn.points": Setting("points", "a whole number of points", None, 1, POINTS_MAX),
    "earn.per": Setting("per", "a whole number of rial", None, 1, PER_MAX),
    "earn.currency": Setting("currency", "the currency", "IRR", 0, 0, tuple(CURRENCIES)),
    "earn.minimum": Setting("minimum", "a whole number of rial", 0, 0, AMOUNT_MAX),
}
SECTIONS = frozenset(place.partition(".")[0] for place in SETTINGS)
PLACES = ("schema", *SETTINGS)


def parse(text: str, name: str = "programme") -> Programme:
    """The programme in a TOML document. ProgrammeError with every fault at once; `name` heads its message."""
    if len(text) > DOCUMENT_CHARS_MAX:
        size = f"is longer than {DOCUMENT_CHARS_MAX:,} characters"
        raise ProgrammeError(name, [Fault("document", size)])
    try:
        given = dict(_leaves(tomllib.loads(text)))
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError
        raise ProgrammeError(name, [_syntax_fault(error)]) from error
    faults = [*_unknown(given), *_schema_faults(given)]
    values: dict[str, str | int] = {}
    for place, setting in SETTINGS.items():
        checked = _check(place, setting, given)
        if isinstance(checked, Fault):
            faults.append(checked)
        else:
            values[setting.field] = checked
    if faults:
        raise ProgrammeError(name, faults)
    return _build(values)


def document(programme: Programme) -> str:
    """The text ProgrammeActivated carries: `parse(document(p)).hash == p.hash`, on any device, for ever."""
    return programme.canonical.decode()


def _build(values: Mapping[str, str | int]) -> Programme:
    fields = {field: value for field, value in values.items() if isinstance(value, str)}
    numbers = {field: value for field, value in values.items() if isinstance(value, int)}
    return Programme(
        name_fa=fields["name_fa"],
        name_en=fields["name_en"],
        currency=fields["currency"],
        points=numbers["points"],
        per=numbers["per"],
        minimum=numbers["minimum"],
    )


def _leaves(table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each setting with its place. Only known sections are entered: a stray table is one fault, not ten."""
    for key, value in table.items():
        if key in SECTIONS and isinstance(value, dict):
            yield from ((f"{key}.{inner}", leaf) for inner, leaf in value.items())
        else:
            yield key, value


def _check(place: str, setting: Setting, given: Mapping[str, object]) -> str | int | Fault:
    """The setting's value, its default, or what is wrong with it."""
    if place not in given:
        if setting.default is None:
            return Fault(place, f"is missing: {setting.what}")
        return setting.default
    value = given[place]
    return _check_text(place, setting, value) if setting.is_text else _check_number(place, setting, value)


def _check_number(place: str, setting: Setting, value: object) -> int | Fault:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = ": no quotes, no decimal point" if isinstance(value, str | float) else ""
        return Fault(place, f"must be {setting.what}{hint}; it is {_shown(value)}")
    if not setting.low <= value <= setting.high:
        return Fault(place, f"must lie between {setting.low:,} and {setting.high:,}; it is {_shown(value)}")
    return value


def _check_text(place: str, setting: Setting, value: object) -> str | Fault:
    if not isinstance(value, str):
        return Fault(place, f"must be {setting.what}, in quotes; it is {_shown(value)}")
    if setting.choices:
        if value in setting.choices:
            return value
        known = " or ".join(f'"{choice}"' for choice in setting.choices)
        return Fault(place, f"must be {known}; it is {_shown(value)}", _nearest(value, setting.choices))
    text = value.strip()
    if not setting.low <= len(text) <= setting.high:
        size = f"must have {setting.low} to {setting.high} characters"
        return Fault(place, f"{setting.what} {size}; it has {len(text)}")
    if not all(c.isprintable() or c == _ZWNJ for c in text):
        return Fault(place, f"{setting.what} must be one line without hidden characters")
    return text


def _schema_faults(given: Mapping[str, object]) -> Iterator[Fault]:
    value = given.get("schema")
    if value is None:
        yield Fault("schema", f"is missing: write  schema = {SCHEMA}  as the first line")
    elif isinstance(value, bool) or not isinstance(value, int):
        yield Fault("schema", f"must be the whole number {SCHEMA}; it is {_shown(value)}")
    elif value != SCHEMA:
        yield Fault(
            "schema", f"this Vafa reads schema {SCHEMA}, the document says {_shown(value)}: update Vafa"
        )


def _unknown(given: Mapping[str, object]) -> Iterator[Fault]:
    for place in given:
        if place in SECTIONS:
            yield Fault(place, f"is a section: write  [{place}]  on a line of its own, its settings below")
        elif place not in PLACES:
            yield Fault(_short(place), "is no setting of a programme", _nearest_place(place))


def _nearest_place(place: str) -> str:
    """The setting meant: a misspelled one, or one that stands under the wrong section."""
    last = place.rpartition(".")[2]
    for known in PLACES:
        if known.rpartition(".")[2] == last:
            return known
    near = _nearest(place, (*PLACES, *sorted(SECTIONS)))
    if near:
        return near
    last_near = _nearest(last, tuple(known.rpartition(".")[2] for known in PLACES))
    return next((known for known in PLACES if last_near and known.endswith(last_near)), "")


def _nearest(word: str, words: tuple[str, ...]) -> str:
    from difflib import get_close_matches  # only a document with faults pays for it

    found = get_close_matches(word[:64], words, n=1)
    return found[0] if found else ""


def _syntax_fault(error: Exception) -> Fault:
    """Where a document stops being TOML. `tomllib` says `... (at line 3, column 5)`."""
    what, _, where = str(error).partition(" (at ")
    if isinstance(error, RecursionError):
        what, where = "brackets are nested too deep", ""
    elif "4300 digits" in what:
        what, where = "a number has thousands of digits", ""
    return Fault(where.rstrip(")") or "document", f"cannot be read here: {_short(what)}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) < 10**18 else "far too large"
    return _short(f'"{value}"' if isinstance(value, str) else str(value).lower())


def _short(text: str) -> str:
    """One printable line of at most 60 characters: faults are shown on terminals."""
    line = "".join(c if c.isprintable() or c == _ZWNJ else "?" for c in text)
    return line if len(line) <= 60 else line[:59] + "…"


def _quoted(text: str) -> str:
    """A TOML basic string. Names hold no control characters, so two escapes are all there is."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
