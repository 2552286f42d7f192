"""What else is wrong with a document some of whose settings cannot be read: all is mended at once.

What settings must be together is told of a whole programme. Where some cannot be read, something plain stands
in for them, and what could follow from that alone is not told.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from vafa.club.programme import ENTRY_TYPES, GROUP_FIELDS, Programme
from vafa.club.sense import nonsense
from vafa.club.settings import GROUPS, SECTIONS, SETTINGS, Setting, Shape, Value
from vafa.model.errors import Fault

_PLAIN: dict[Shape, Value] = {Shape.TEXT: "?", Shape.NUMBER: 1}
_EVERYWHERE = "time"  # days and windows of all entries go by its settings
_CALENDARS = ("jalali", "gregorian")
# What another section may bring: not told where one has a name nobody knows, for that may be the one.
_BROUGHT = frozenset({"expiry", "new_rial", "tiers", "tier"})
_REFERS = frozenset({"stamp", "segment", "tier", "grant"})


def further_faults(
    faults: Sequence[Fault],
    values: Mapping[str, Value],
    groups: Mapping[str, tuple[object, ...]],
    names: Mapping[str, Sequence[str]],
) -> Iterator[Fault]:
    """Faults between the settings that could be read.

    faults  those of single settings; values: of what could be read; groups: the entries by their field, None
            for each that could not; names: the ids of all of them, by group
    """
    spoilt = {_part(fault.place) for fault in faults}
    has_unknown = not spoilt <= _known(names)  # what was meant by a misspelt section nobody knows
    plain = {each.field: values.get(each.field, _plain(each)) for each in SETTINGS.values()}
    entries = {
        GROUP_FIELDS[group]: tuple(
            each if each is not None else _stand_in(group, name)
            for each, name in zip(groups[GROUP_FIELDS[group]], names[group], strict=True)
        )
        for group in names
    }
    programme = Programme(**plain, **entries)  # type: ignore[arg-type]  # each is right, or plain
    found = nonsense(programme)
    if has_unknown or _EVERYWHERE in spoilt:
        anyway = set.intersection(*_places_by_calendar(programme))
        found = [fault for fault in found if fault.place in anyway]
    if has_unknown:
        found = [fault for fault in found if not _may_be_brought(fault.place)]
    tiers_too = any(part.startswith("tier.") for part in spoilt)
    for fault in found:
        part = _part(fault.place)
        if part in spoilt or part == "document" or (tiers_too and part.startswith("tier")):
            continue
        yield fault


def _places_by_calendar(programme: Programme) -> list[set[str]]:
    by_calendar = (nonsense(replace(programme, calendar=calendar)) for calendar in _CALENDARS)
    return [{fault.place for fault in found} for found in by_calendar]


def _may_be_brought(place: str) -> bool:
    first, *rest = place.split(".")
    return first in _BROUGHT or (bool(rest) and rest[-1] in _REFERS)


def _part(place: str) -> str:
    """`offer.sorry` of `offer.sorry.points`, `earn` of `earn.per`."""
    first, *rest = place.split(".")
    return f"{first}.{rest[0]}" if first in GROUPS and rest else first


def _known(names: Mapping[str, Sequence[str]]) -> set[str]:
    return {*SECTIONS, "schema", *(f"{group}.{name}" for group in names for name in names[group])}


def _plain(setting: Setting) -> Value:
    if setting.default is not None:
        return setting.default
    return setting.choices[0] if setting.shape is Shape.CHOICE else _PLAIN[setting.shape]


def _stand_in(group: str, name: str) -> object:
    return ENTRY_TYPES[group](id=name, **{each.field: _plain(each) for each in GROUPS[group].values()})
