"""`vafa doctor`, configuration: all its faults, and what can be looked at in spite of them.

A wrong file must not hide a wrong cable: a setting with a fault is taken out and its default stands in, so
that the other checks go on. A terminal whose own settings are wrong is left out: asking a port that nobody
meant would say more than is known.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vafa.app.config import Config, Shop, load
from vafa.app.findings import Finding, Patient
from vafa.model.errors import ConfigError, Fault, ProgrammeError

NAME = "config"
_CORRECT = "correct it, then: vafa run --check"
_REPAIRS_MAX = 100  # a file with more faults than this is no configuration
_STANDS_IN = "?"  # for a shop's name that is not there
_NO_TERMINAL = {"id": "standin", "mode": "local"}  # a configuration has one; taken away again


class Read(NamedTuple):
    """What could be read, every fault, and `unread`: the file itself could not be read."""

    config: Config
    faults: tuple[Fault, ...] = ()
    unread: bool = False


def read(path: Path) -> Read:
    """The configuration as far as it goes. Never raises for what the file holds."""
    try:
        return Read(load(path))
    except ConfigError as error:
        faults = left = error.faults
    document = _document(path)
    if document is None:
        return Read(_bare(path), faults, unread=True)
    for _ in range(_REPAIRS_MAX):
        document = _mended(document, left)
        try:
            return Read(_read_mended(document, path), faults)
        except ConfigError as error:
            left = error.faults
    return Read(_bare(path), faults)


def look(patient: Patient) -> Iterator[Finding]:
    """One finding for each fault; then the programme, and whether the daemon has read this file yet."""
    path = patient.config_path
    for fault in patient.faults:
        fix = _fix_of_file(patient) if patient.unread else _CORRECT
        yield Finding("fail", NAME, _where(path, fault), fix=fix, code=ConfigError.code)
    programme = list(_of_programme(patient))
    yield from programme
    changed = _changed_since_start(patient)
    if changed:
        yield Finding(
            "warn",
            NAME,
            f"{path} was changed after the daemon started",
            "the daemon goes on with what it read then",
            "sudo systemctl restart vafa",
            "CFG-010",
        )
    if not (patient.faults or programme or changed):
        count = len(patient.config.terminal)
        yield Finding("ok", NAME, f"{path}, {count} terminal{'' if count == 1 else 's'}")


def _where(path: Path, fault: Fault) -> str:
    text = str(fault)
    return f"{path}: {text.removeprefix('file: ')}" if fault.place == "file" else f"{path.name}: {text}"


def _fix_of_file(patient: Patient) -> str:
    path = patient.config_path
    try:
        if not path.exists():
            return f"sudo install -m 640 -g vafa config.example.toml {path}"
        if not os.access(path, os.R_OK):
            return "sudo vafa doctor"
    except PermissionError:  # not even its directory may be looked into
        return "sudo vafa doctor"
    return "make it what config.example.toml shows, in UTF-8; then: vafa run --check"


def _of_programme(patient: Patient) -> Iterator[Finding]:
    from vafa.app.daemon import configured_programme

    try:
        configured_programme(patient.config.programme_file)
    except ProgrammeError as error:
        for fault in error.faults:
            fix = f"correct it, then: vafa programme check {patient.config.programme_file}"
            yield Finding("fail", NAME, f"{error.name}: {fault}", fix=fix, code=ProgrammeError.code)


def _changed_since_start(patient: Patient) -> bool:
    if not patient.running or patient.status is None or patient.unread:
        return False
    started_s = patient.now_ms / 1000 - patient.status.up_s
    return patient.config_path.stat().st_mtime > started_s + 1


def _document(path: Path) -> dict[str, Any] | None:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _mended(document: dict[str, Any], faults: Iterable[Fault]) -> dict[str, Any]:
    """The document without what has a fault: a setting, a section, or the whole terminal it is one of."""
    left_out: set[int] = set()
    mended = dict(document)
    for fault in faults:
        section, dot, name = fault.place.partition(".")
        number = section.removeprefix("terminal").strip("[]")
        table = mended.get(section)
        if section.startswith("terminal[") and number.isdigit():
            left_out.add(int(number))
        elif dot and isinstance(table, dict):
            mended[section] = {key: value for key, value in table.items() if key != name}
        else:
            mended.pop(section, None)
    shop = mended.setdefault("shop", {})
    shop.setdefault("name", _STANDS_IN)
    terminals = mended.get("terminal", [])
    mended["terminal"] = [each for i, each in enumerate(terminals) if i not in left_out]
    return mended


def _read_mended(document: dict[str, Any], path: Path) -> Config:
    """A configuration that may be without terminals."""
    from msgspec.structs import replace

    from vafa.app.config_faults import read_document

    if document["terminal"]:
        return read_document(document, path)
    return replace(read_document(document | {"terminal": [_NO_TERMINAL]}, path), terminal=())


def _bare(path: Path) -> Config:
    """All defaults, no terminal."""
    return Config(shop=Shop(name=_STANDS_IN), directory=path.absolute().parent)
