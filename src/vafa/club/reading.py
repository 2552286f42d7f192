"""Reads a programme document: TOML to a `Programme`, or every fault at once in a merchant's words.

A fault has its place, what is expected there, and the nearest right name. What single settings must be is
told here; what they must be together, in sense.py.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping

from vafa.club.programme import DOCUMENT_CHARS_MAX, ENTRY_TYPES, GROUP_FIELDS, SCHEMA, Programme
from vafa.club.sense import nonsense
from vafa.club.settings import (
    ENTRIES_MAX,
    GROUPS,
    PLACES,
    SECTIONS,
    SETTINGS,
    WEEKDAYS,
    Setting,
    Shape,
    Value,
)
from vafa.model.errors import Fault, ProgrammeError
from vafa.model.identity import without_phones
from vafa.model.pan import mask_pans

_KEPT = "the rules are kept for ever, sent to each device and printed; leave it out"
_ZWNJ = "\u200c"  # joins nothing and prints nothing, but belongs to Persian spelling
_ENTRY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})")
Entries = dict[str, dict[str, Mapping[str, object]]]  # group -> id -> its settings


def read(text: str, name: str) -> Programme:
    """The programme in a TOML document. ProgrammeError with every fault at once; `name` heads its message."""
    return _read(text, name, _private)


def read_stored(text: str, name: str) -> Programme:
    """As `read`, for one that stands in a journal: sales go by it, whatever was typed into its texts."""
    return _read(text, name, lambda *_: ())


def _further(
    faults: list[Fault], values: dict[str, Value], groups: Mapping[str, tuple[object, ...]], entries: Entries
) -> list[Fault]:
    """What else is wrong, as far as it can be told beside what could not be read."""
    from vafa.club.further import further_faults  # only a document with faults pays for it

    return list(further_faults(faults, values, groups, {group: tuple(entries[group]) for group in entries}))


Looks = Callable[[Mapping[str, object], str], Iterable[Fault]]


def _read(text: str, name: str, looks: Looks) -> Programme:
    if len(text) > DOCUMENT_CHARS_MAX:
        size = f"is longer than {DOCUMENT_CHARS_MAX:,} characters"
        raise ProgrammeError(name, [Fault("document", size)])
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError
        raise ProgrammeError(name, [_syntax_fault(error)]) from error
    faults: list[Fault] = [*looks(document, "")]
    entries = _entries(document, faults)
    given = dict(_leaves(document))
    faults += [*_unknown(given), *_schema_faults(given)]
    values: dict[str, Value] = {}
    for place, setting in SETTINGS.items():
        _take(place, place, setting, given, values, faults)
    groups = {
        GROUP_FIELDS[group]: tuple(_entry(group, key, entries[group][key], faults) for key in entries[group])
        for group in entries
    }
    if not faults:
        programme = Programme(**values, **groups)  # type: ignore[arg-type]  # checked one by one above
        faults += nonsense(programme)
        if not faults:
            return programme
    else:
        faults += _further(faults, values, groups, entries)
    raise ProgrammeError(name, faults)


def _private(table: Mapping[str, object], place: str) -> Iterator[Fault]:
    """What must not be journalled, sent and printed: card numbers and mobile numbers, in texts and names."""
    for key, value in table.items():
        inside = f"{place}.{key}".lstrip(".")
        for each in (key, *(value if isinstance(value, list) else (value,))):
            if isinstance(each, str) and mask_pans(each) != each:
                yield Fault(_short(inside), f"holds a card number: {_KEPT}")
            elif isinstance(each, str) and without_phones(each) != each:
                yield Fault(_short(inside), f"holds a mobile number: {_KEPT}")
        if isinstance(value, dict):
            yield from _private(value, inside)


def _entries(document: Mapping[str, object], faults: list[Fault]) -> Entries:
    """The entries of each group, sorted by id; what is no entry is a fault."""
    found: Entries = {}
    for group in GROUPS:
        table = document.get(group, {})
        if not isinstance(table, dict):
            faults.append(Fault(group, f"is a section: write  [{group}.NAME]  on a line of its own"))
            continue
        if len(table) > ENTRIES_MAX:
            faults.append(Fault(group, f"has {len(table)} entries; {ENTRIES_MAX} are the most"))
            continue
        found[group] = {}
        for key in sorted(table):
            place, entry = f"{group}.{_short(key)}", table[key]
            if not isinstance(entry, dict):
                said = f"each {group} has a name: write  [{group}.NAME]  on a line of its own"
                faults.append(Fault(place, f"is no {group}: {said}, its settings below"))
            elif not _ENTRY_ID.fullmatch(key):
                faults.append(
                    Fault(place, "must be called by small Latin letters, digits and - (24 at most)")
                )
            else:
                found[group][key] = entry
    return found


def _entry(group: str, key: str, given: Mapping[str, object], faults: list[Fault]) -> object:
    """One entry; its faults are added, and then it is not used."""
    known = GROUPS[group]
    before = len(faults)
    for name in given:
        if name not in known:
            place = f"{group}.{key}.{_short(name)}"
            faults.append(Fault(place, f"is no setting of a {group}", _nearest(name, tuple(known))))
    values: dict[str, Value] = {}
    for name, setting in known.items():
        _take(f"{group}.{key}.{name}", name, setting, given, values, faults)
    if len(faults) > before:
        return None
    return ENTRY_TYPES[group](id=key, **values)


def _take(
    place: str,
    name: str,
    setting: Setting,
    given: Mapping[str, object],
    values: dict[str, Value],
    faults: list[Fault],
) -> None:
    """The setting's value or its default into `values`, or what is wrong with it into `faults`."""
    if name not in given:
        if setting.default is None:
            faults.append(Fault(place, f"is missing: {setting.what}{_choices(setting)}"))
        else:
            values[setting.field] = setting.default
        return
    checked = _CHECKS[setting.shape](place, setting, given[name])
    if isinstance(checked, Fault):
        faults.append(checked)
    else:
        values[setting.field] = checked


def _leaves(table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each setting with its place. Only known sections are entered: a stray table is one fault, not ten."""
    for key, value in table.items():
        if key in SECTIONS and isinstance(value, dict):
            yield from ((f"{key}.{inner}", leaf) for inner, leaf in value.items())
        elif key not in GROUPS:
            yield key, value


def _check_number(place: str, setting: Setting, value: object) -> int | Fault:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = ": no quotes, no decimal point" if isinstance(value, str | float) else ""
        return Fault(place, f"must be {setting.what}{hint}; it is {_shown(value)}")
    if not setting.low <= value <= setting.high:
        return Fault(place, f"must lie between {setting.low:,} and {setting.high:,}; it is {_shown(value)}")
    return value


def _check_flag(place: str, setting: Setting, value: object) -> bool | Fault:
    if isinstance(value, bool):
        return value
    return Fault(place, f"says {setting.what}: write true or false, without quotes; it is {_shown(value)}")


def _check_choice(place: str, setting: Setting, value: object) -> str | Fault:
    if isinstance(value, str) and value in setting.choices:
        return value
    near = _nearest(value, setting.choices) if isinstance(value, str) else ""
    if not isinstance(value, str):
        return Fault(place, f"must be {setting.what}, in quotes; it is {_shown(value)}")
    known = " or ".join(f'"{choice}"' for choice in setting.choices)
    return Fault(place, f"must be {known}; it is {_shown(value)}", near)


def _check_text(place: str, setting: Setting, value: object) -> str | Fault:
    if not isinstance(value, str):
        return Fault(place, f"must be {setting.what}, in quotes; it is {_shown(value)}")
    text = value.strip()
    if not setting.low <= len(text) <= setting.high:
        size = f"must have {setting.low} to {setting.high} characters"
        return Fault(place, f"{setting.what} {size}; it has {len(text)}")
    if not all(c.isprintable() or c == _ZWNJ for c in text):
        return Fault(place, f"{setting.what} must be one line without hidden characters")
    return text


def _check_entry(place: str, setting: Setting, value: object) -> str | Fault:
    if isinstance(value, str) and _ENTRY_ID.fullmatch(value):
        return value
    return Fault(
        place, f"must be the name of a [{setting.choices[0]}.NAME], in quotes; it is {_shown(value)}"
    )


def _check_day(place: str, setting: Setting, value: object) -> str | Fault:
    """Whether there is such a day depends on the calendar: sense.py."""
    match = _DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return Fault(place, f'must be {setting.what} as "1405/01/31", in quotes; it is {_shown(value)}')
    year, month, day = map(int, match.groups())
    return f"{year:04d}/{month:02d}/{day:02d}"


def _check_hours(place: str, setting: Setting, value: object) -> str | Fault:
    text = value.replace(" ", "") if isinstance(value, str) else ""
    match = _HOURS.fullmatch(text)
    if match is None or text[6:] > "24:00" or text[:5] == text[6:]:
        return Fault(place, f'must be {setting.what} as "17:00-20:00", in quotes; it is {_shown(value)}')
    return text


def _check_weekdays(place: str, setting: Setting, value: object) -> tuple[str, ...] | Fault:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return Fault(place, f'must be {setting.what} as ["thu", "fri"]; it is {_shown(value)}')
    for each in value:
        if each not in WEEKDAYS:
            known = ", ".join(WEEKDAYS)
            return Fault(place, f"{_shown(each)} is no day of the week: {known}", _nearest(each, WEEKDAYS))
    return tuple(day for day in WEEKDAYS if day in value)


_CHECKS = {
    Shape.NUMBER: _check_number,
    Shape.TEXT: _check_text,
    Shape.CHOICE: _check_choice,
    Shape.FLAG: _check_flag,
    Shape.DAY: _check_day,
    Shape.HOURS: _check_hours,
    Shape.WEEKDAYS: _check_weekdays,
    Shape.ENTRY: _check_entry,
}


def _choices(setting: Setting) -> str:
    return ": " + ", ".join(setting.choices) if setting.shape is Shape.CHOICE else ""


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
    near = _nearest(place, (*PLACES, *sorted(SECTIONS), *GROUPS))
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
        return f"{value:,}" if abs(value) < 10**13 else "far too large"
    return _short(f'"{value}"' if isinstance(value, str) else str(value).lower())


def _short(text: str) -> str:
    """One printable line of at most 60 characters: faults are shown on terminals."""
    text = without_phones(mask_pans(text))
    line = "".join(c if c.isprintable() or c == _ZWNJ else "?" for c in text)
    return line if len(line) <= 60 else line[:59] + "…"
