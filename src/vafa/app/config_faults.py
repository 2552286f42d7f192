"""Reads a configuration document against the structs of `config`, and finds every fault at once.

msgspec stops at the first fault; a person who edits a file on a shop's counter wants all of them. So each
setting is converted by itself, and what is wrong with it becomes one Fault at its place.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from vafa.app.config import Config, Local, Printer, Terminal
from vafa.app.config_address import is_ip_number
from vafa.model.errors import ConfigError, Fault

# What a terminal has that does not say: its own missing id, and the usual line.
_LEFT_OUT = {"id": "missing {}", "address": Terminal(id="x").address}


class Setting(msgspec.Struct, frozen=True):
    """One row of the table: what `config`'s annotation says of a setting."""

    name: str
    type: Any
    meta: Meta
    required: bool
    default: Any

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values allowed, where they are written out; else ()."""
        bare = get_args(self.type)[0]
        return get_args(bare) if str(get_origin(bare)) == "typing.Literal" else ()


def sections() -> dict[str, type[Struct]]:
    """Section name -> its struct, in the order of the file; `terminal` stands for [[terminal]]."""
    found: dict[str, type[Struct]] = {}
    for field in fields(Config):
        kind = get_args(field.type)[0] if get_origin(field.type) is tuple else field.type
        if issubclass(kind, Struct):
            found[field.name] = kind
    return found


def settings(section: type[Struct]) -> dict[str, Setting]:
    """Name -> setting, in the order of the file."""
    return {
        field.name: Setting(field.name, field.type, get_args(field.type)[1], field.required, field.default)
        for field in fields(section)
    }


def read_document(document: dict[str, Any], path: Path) -> Config:
    """The Config of a parsed file; ConfigError names every fault."""
    known = sections()
    faults = [_unknown(name, name, known) for name in document if name not in known]
    values: dict[str, Any] = {}
    for name, section in known.items():
        if section is Terminal:
            values[name] = _read_terminals(document.get(name, []), faults)
        elif section is Printer:
            values[name] = _read_printers(document, faults)
        elif isinstance(document.get(name, {}), dict):
            values[name] = _read_section(name, section, document.get(name, {}), faults)
        else:
            faults.append(Fault(name, f"expected a table [{name}]"))
    faults += _cable_faults(document, values.get("local"))
    if faults:
        raise ConfigError(str(path), faults)
    return Config(directory=path.absolute().parent, **values)


def _read_section(
    place: str, section: type[Struct], table: dict[str, Any], faults: list[Fault]
) -> Struct | None:
    """The section's struct, or None when something was wrong with it."""
    known = settings(section)
    before = len(faults)
    faults += [_unknown(f"{place}.{name}", name, known) for name in table if name not in known]
    for name, setting in known.items():
        if name in table:
            message = _fault_of(setting, table[name])
            if message:
                faults.append(Fault(f"{place}.{name}", message, _meant(setting, table[name])))
        elif setting.required:
            faults.append(Fault(f"{place}.{name}", f"is missing: {setting.meta.description}"))
    return msgspec.convert(table, section) if len(faults) == before else None


def _read_printers(document: dict[str, Any], faults: list[Fault]) -> tuple[Struct | None, ...]:
    tables = document.get("printer", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(Fault("printer", "expected [[printer]] with two brackets, once for each printer"))
        return ()
    read = tuple(_read_section(f"printer[{i}]", Printer, table, faults) for i, table in enumerate(tables))
    terminals = document.get("terminal", [])
    known = (
        [str(each.get("id")) for each in terminals if isinstance(each, dict)]
        if isinstance(terminals, list)
        else []
    )
    lines: dict[str, int] = {}
    for i, printer in enumerate(read):
        if not isinstance(printer, Printer):
            continue
        for name in ("name", "address"):
            value = str(getattr(printer, name))
            if value in lines:
                faults.append(
                    Fault(f"printer[{i}].{name}", f"{value!r} is printer[{lines[value]}]'s already")
                )
            lines.setdefault(value, i)
        faults += [
            Fault(f"printer[{i}].terminals", f"there is no terminal {tid!r}", _nearest(tid, known))
            for tid in printer.terminals
            if tid not in known
        ]
    return read


def _read_terminals(tables: object, faults: list[Fault]) -> tuple[Struct | None, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(Fault("terminal", "expected [[terminal]] with two brackets, once for each terminal"))
        return ()
    if not tables:
        faults.append(Fault("terminal", "at least one [[terminal]] is needed"))
    read = tuple(_read_section(f"terminal[{i}]", Terminal, table, faults) for i, table in enumerate(tables))
    _refuse_twins(tables, faults)
    faults += [
        Fault(f"terminal[{i}].poll", 'mode "poll" does nothing else; set it to true, or choose another mode')
        for i, table in enumerate(tables)
        if table.get("mode") == "poll" and table.get("poll") is False
    ]
    for i, terminal in enumerate(read):
        if isinstance(terminal, Terminal):
            faults += [Fault(f"terminal[{i}].{name}", message) for name, message in _proxy_faults(terminal)]
    return read


def _cable_faults(document: dict[str, Any], local: object) -> Iterator[Fault]:
    """A serial line has one user: the local protocol's is no terminal's."""
    if not isinstance(local, Local) or not local.serial:
        return
    for i, table in enumerate(document.get("terminal", [])):
        if isinstance(table, dict) and table.get("mode") != "local":
            ends = (table.get("address", _LEFT_OUT["address"]), table.get("listen"))
            if local.serial in ends:
                yield Fault("local.serial", f"{local.serial!r} is terminal[{i}]'s already")


def _proxy_faults(terminal: Terminal) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong) of a terminal whose line goes through the relay."""
    if terminal.mode != "proxy":
        if terminal.listen:
            yield "listen", f"is for mode 'proxy' only, this one is {terminal.mode!r}"
        return
    if not terminal.listen:
        yield "listen", "is missing: where does the cash register come in?"
        return
    over_tcp = terminal.address.startswith("tcp:")
    if terminal.listen.startswith("tcp:") != over_tcp:
        yield "listen", f"must be of the address's kind: {'tcp:...' if over_tcp else 'a serial line'}"
    elif over_tcp:
        for name in ("address", "listen"):
            host = str(getattr(terminal, name)).removeprefix("tcp:").rpartition(":")[0]
            if not is_ip_number(host):
                yield name, f"needs an IP number, not {host!r}: a name would have to be looked up each time"


def _refuse_twins(tables: list[dict[str, Any]], faults: list[Fault]) -> None:
    """Two terminals cannot share an id (one payment would be two) nor a line; nor one its two ends."""
    for names in (("id",), ("address", "listen")):
        seen: dict[str, int] = {}
        for i, table in enumerate(tables):
            for name in names:
                if (name == "address" and table.get("mode") == "local") or not table.get(name, "?"):
                    continue
                if name == "listen" and name not in table:
                    continue
                value = str(table.get(name, _LEFT_OUT.get(name, "").format(i)))
                if value in seen:
                    faults.append(
                        Fault(f"terminal[{i}].{name}", f"{value!r} is terminal[{seen[value]}]'s already")
                    )
                seen.setdefault(value, i)


def _fault_of(setting: Setting, value: object) -> str:
    """What is wrong with a value, '' when nothing is."""
    if setting.choices:
        if type(value) is type(setting.choices[0]) and value in setting.choices:
            return ""
        return "expected one of " + ", ".join(repr(choice) for choice in setting.choices) + f", got {value!r}"
    try:
        msgspec.convert(value, setting.type)
    except msgspec.ValidationError as error:
        return f"{str(error).replace('`', '').replace('Expected', 'expected')}, got {value!r}"
    check = (setting.meta.extra or {}).get("check")
    return str(check(value)) if check else ""


def _meant(setting: Setting, value: object) -> str:
    """What was most likely meant by a value that is wrong, '' when nobody can tell."""
    nearest = (setting.meta.extra or {}).get("nearest")
    return str(nearest(value)) if nearest and isinstance(value, str) else _nearest(value, setting.choices)


def _unknown(place: str, name: str, known: Iterable[str]) -> Fault:
    return Fault(place, "no such setting" if "." in place else "no such section", _nearest(name, known))


def _nearest(text: object, right: Iterable[Any]) -> str:
    import difflib  # only a faulty file pays for it

    near = difflib.get_close_matches(str(text), [str(name) for name in right], n=1, cutoff=0.5)
    return near[0] if near and near[0] != str(text) else ""
