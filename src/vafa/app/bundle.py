"""`vafa doctor --bundle`: one archive for support, small enough to mail, without what may not leave.

Every text passes `harmless` on its way in, whatever it is and wherever it comes from; there is no other way
in. The configuration is shown setting by setting, so that a name nobody knows (a password in the wrong file)
is not. No ledger, no key, no captured bytes.
"""

import os
import sqlite3
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterable
from contextlib import closing
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from vafa import __version__
from vafa.app.config_faults import sections, settings
from vafa.app.findings import Patient, Report
from vafa.app.harmless import harmless, harmless_value
from vafa.app.status import iso
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.model.errors import LedgerError, VafaError
from vafa.model.events import Kind
from vafa.ports import machine

MEMBER_BYTES_MAX = 256 << 10  # each file in the archive; the archive is smaller than all of them together
LOG_LINES = 2_000
_LOG_WAIT_S = 20.0
_UNITS = ("vafa", "vafa-relay")
_CUT = "... earlier lines were left out ...\n"
_README = """\
Vafa support bundle, schema 1

Look at it before you send it: every file is plain text. Card numbers, phones, keys and tokens are masked in
all of them, whatever wrote them; what looked like one is shown as <...> or with dots.

  README.txt      this
  findings.json   what `vafa doctor` found
  status.json     what `vafa status` says, from the daemon or from the ledger
  config.txt      config.toml, setting by setting; settings Vafa does not know are named only by their number
  versions.txt    Vafa, Python, SQLite and the libraries
  platform.txt    the machine: system, memory, disk, serial ports, clock
  units.txt       what systemd says of the units
  journal.json    the ledger's rows: how many of each kind, first and last; no row itself
  schema.sql      the ledger's tables
  log-vafa.txt, log-vafa-relay.txt
                  the newest lines of each unit's log, masked

Not in it: the ledger, backups, the device key, bytes from a terminal, names of the club's members.
"""


def write(path: Path, patient: Patient, report: Report) -> int:
    """Write the archive with mode 0600 and return its size in bytes. VafaError when it cannot be written."""
    archive = packed(members(patient, report), patient.now_ms // 1000)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise VafaError(f"{path} is there already", fix="name another file, or move it away") from None
    except OSError as error:
        fix = "name another place: vafa doctor --bundle /tmp/vafa.tar.gz"
        raise VafaError(f"{path} cannot be written: {error.strerror}", fix=fix) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(archive)
    except OSError as error:
        path.unlink()  # half an archive helps nobody
        fix = "name another place: vafa doctor --bundle /media/usb/vafa.tar.gz"
        raise VafaError(f"{path} cannot be written: {error.strerror}", fix=fix) from error
    return len(archive)


def members(patient: Patient, report: Report) -> dict[str, str]:
    """File name -> its text, harmless and bounded. What cannot be had says why in its place."""
    patient.say("the bundle")
    parts: dict[str, Callable[[], str]] = {
        "README.txt": lambda: _README,
        "findings.json": lambda: _json(report),
        "status.json": lambda: _json(patient.status),
        "config.txt": lambda: _config(patient),
        "versions.txt": _versions,
        "platform.txt": lambda: _platform(patient),
        "units.txt": _units,
        "journal.json": lambda: _json(_journal(patient)),
        "schema.sql": lambda: _schema(patient),
    }
    for unit in _UNITS:
        parts[f"log-{unit}.txt"] = lambda unit=unit: _log(unit)  # type: ignore[misc]
    return {name: _bounded(harmless(_bounded(_had(part)))) for name, part in parts.items()}


def _had(part: Callable[[], str]) -> str:
    try:
        return part()
    except (VafaError, OSError, sqlite3.Error, ValueError) as error:
        return f"not had: {error}\n"


def _bounded(text: str) -> str:
    """At most MEMBER_BYTES_MAX: the newest end of what is longer, from a whole line on."""
    data = text.encode()
    if len(data) <= MEMBER_BYTES_MAX:
        return text
    kept = data[-(MEMBER_BYTES_MAX - len(_CUT)) :]
    return _CUT + kept[kept.find(b"\n") + 1 :].decode("utf-8", "replace")


def packed(files: dict[str, str], at_s: int) -> bytes:
    """The files as a tar.gz; no owner, no path above them."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"vafa-support/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, max(0, at_s)
            archive.addfile(entry, BytesIO(data))
    return buffer.getvalue()


def _json(value: Any) -> str:
    """Masked value by value before it is written, so that it stays JSON."""
    line = msgspec.json.encode(harmless_value(msgspec.to_builtins(value)))
    return msgspec.json.format(line, indent=2).decode() + "\n"


def _config(patient: Patient) -> str:
    lines = [f"# {patient.config_path}, as far as Vafa knows its settings"]
    document = tomllib.loads(patient.config_path.read_text(encoding="utf-8"))
    known = sections()
    unknown = sum(name not in known for name in document)
    for name, section in known.items():
        tables = document.get(name, [])
        for table in tables if isinstance(tables, list) else [tables]:
            if not isinstance(table, dict):
                continue
            lines.append(f"[{name}]")
            names = settings(section)
            lines += [f"{each} = {table[each]!r}" for each in names if each in table]
            unknown += sum(each not in names for each in table)
    return "\n".join([*lines, f"# {unknown} names that Vafa does not know are not shown", ""])


def _versions() -> str:
    try:
        required = metadata.requires("vafa") or []
    except metadata.PackageNotFoundError:
        required = []
    names = [name for name in map(_name_of, required) if name]
    lines = [f"vafa {__version__}", f"python {sys.version}", f"sqlite {sqlite3.sqlite_version}"]
    return "\n".join([*lines, *map(_version_of, names), ""])


def _name_of(requirement: str) -> str:
    """`structlog` of `structlog>=24.1`; '' for what only an extra needs."""
    plain, _, marker = requirement.partition(";")
    name = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in plain).split()
    return "" if "extra" in marker or not name else name[0]


def _version_of(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"


def _platform(patient: Patient) -> str:
    system = os.uname()
    release = Path("/etc/os-release")
    directory = patient.config.ledger_directory
    mount = machine.mount_of(directory)
    facts: Iterable[str] = (
        f"{system.sysname} {system.release} {system.machine}, {os.cpu_count()} cores",
        release.read_text("utf-8", "replace") if release.exists() else "no /etc/os-release",
        "\n".join(Path("/proc/meminfo").read_text("utf-8").splitlines()[:3]),
        f"up {Path('/proc/uptime').read_text('utf-8').split()[0]} s",
        f"clock synchronised: {machine.clock_is_synchronised()}",
        f"ledger at {directory} on {mount.kind} {mount.source}: {','.join(mount.options)}" if mount else "",
        f"wear {machine.flash_wear(mount.source) or 'unknown'}" if mount else "",
        "serial ports: " + (", ".join(machine.serial_ports()) or "none"),
        f"user id {os.geteuid()}, systemd: {machine.has_systemd()}",
    )
    return "\n".join(facts) + "\n"


def _units() -> str:
    if not machine.has_systemd():
        return "no systemd here\n"
    names = (
        "LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ExecMainStatus,MemoryCurrent,MemoryMax,"
        "TimeoutStopUSec,WatchdogUSec,FragmentPath,DropInPaths,NeedDaemonReload,ActiveEnterTimestamp,User"
    )
    return "\n".join(machine.said(["systemctl", "show", unit, f"--property={names}"]) for unit in _UNITS)


def _journal(patient: Patient) -> dict[str, Any]:
    """Rows of the ledger by kind; their bodies stay where they are."""
    sql = (
        "SELECT kind, count(*), min(seq), max(seq), min(at), max(at) FROM journal GROUP BY kind ORDER BY kind"
    )
    with closing(_ledger(patient)) as connection:
        rows = connection.execute(sql).fetchall()
        epochs = connection.execute("SELECT count(DISTINCT epoch), max(seq) FROM journal").fetchone()
    known = {int(kind): kind.name.lower() for kind in Kind}
    return {
        "epochs": epochs[0],
        "rows": epochs[1] or 0,
        "kinds": [
            {"kind": known.get(kind, str(kind)), "rows": count, "first_seq": first, "last_seq": last,
             "first_at": iso(since), "last_at": iso(until)}
            for kind, count, first, last, since, until in rows
        ],
    }  # fmt: skip


def _schema(patient: Patient) -> str:
    with closing(_ledger(patient)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        rows = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return "\n".join([f"-- schema {version}", *(f"{row[0]};" for row in rows), ""])


def _ledger(patient: Patient) -> sqlite3.Connection:
    path = ledger_path(patient.config.ledger_directory.absolute())
    if not path.exists():
        raise LedgerError("there is no ledger")
    return connect_reader(path)


def _log(unit: str) -> str:
    command = ["journalctl", "--unit", unit, "--lines", str(LOG_LINES), "--no-pager", "--quiet"]
    lines = machine.said([*command, "--output", "short-iso", "--no-hostname"], _LOG_WAIT_S)
    return lines or f"no lines of {unit}: no systemd journal here, or not for this user\n"
