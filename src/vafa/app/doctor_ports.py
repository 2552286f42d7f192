"""`vafa doctor`, serial ports: is each there, may the service use it, and who else has it?

Judged by the file's own facts, as the service sees them, whoever asks. With the daemon down the port is
opened too, for as long as it takes to see that it opens; a port somebody holds is left alone.
"""

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vafa.app.config import Config, Terminal
from vafa.app.doctor_service import UNIT
from vafa.app.findings import Finding, Patient
from vafa.model.errors import PortError
from vafa.ports import machine
from vafa.ports.link import TCP_PREFIX
from vafa.ports.machine import Rights
from vafa.ports.serial_line import open_port
from vafa.ports.usb_id import PREFIX, look_up

SERVICE_ACCOUNT = "vafa"
SERIAL_GROUP = "dialout"


def look(patient: Patient) -> Iterator[Finding]:
    """One finding a port, at the first thing that is in the way."""
    ports = list(serial_ports(patient.config))
    if not ports:
        yield Finding("ok", "serial", "no serial line is configured")
    for port in ports:
        try:
            yield _of_port(patient, port)
        except PortError as error:
            yield Finding("fail", "serial", str(error), fix=_fix_of(error), code=error.code)


class Port(NamedTuple):
    """A serial line of the configuration; `terminal` None: the local protocol's."""

    address: str
    baud: int
    setting: str
    terminal: Terminal | None = None


def serial_ports(config: Config) -> Iterator[Port]:
    """Each serial line: terminals', the cash register's end of the relay, the local protocol's."""
    for i, terminal in enumerate(config.terminal):
        if terminal.mode != "local":
            for name in ("address", "listen"):
                address = str(getattr(terminal, name))
                if address and not address.startswith(TCP_PREFIX):
                    yield Port(address, terminal.baud, f"terminal[{i}].{name}", terminal)
    if config.local.serial:
        yield Port(config.local.serial, config.local.baud, "local.serial")


def _is_open(patient: Patient, port: Port) -> bool:
    """True when the running daemon says that it has the line."""
    if port.terminal is not None:
        return patient.line_state(port.terminal) not in ("", "closed")
    lines = patient.status.local if patient.status is not None and patient.running else ()
    return any(line.kind == "serial" and line.state == "open" for line in lines)


def _of_port(patient: Patient, port: Port) -> Finding:
    """PortError where the port's own module says it better."""
    address = port.address
    path = look_up(address) if address.startswith(PREFIX) else address
    device = Path(path)
    if not device.exists():
        return _absent(path, port.setting)
    if not stat.S_ISCHR(device.stat().st_mode):
        return Finding(
            "fail", "serial", f"{path} is no serial port", "it is a file of another kind",
            f"set {port.setting} in config.toml to the port's name", "SER-001",
        )  # fmt: skip
    barred = refused(patient, device)
    if barred is not None:
        return barred
    shown = path if path == address else f"{address} is {path}"
    if _is_open(patient, port):
        return Finding("ok", "serial", f"{shown}, {port.baud} 8N1, held by vafa")
    relayed = port.terminal is not None and port.terminal.mode == "proxy"
    if patient.alive or relayed:  # the daemon's trouble with it stands below by its own word
        return Finding("ok", "serial", f"{shown} is there and permitted")
    open_port(path, port.baud).close()
    return Finding("ok", "serial", f"{shown}, {port.baud} 8N1, opens")


def _absent(path: str, setting: str) -> Finding:
    there = machine.serial_ports()
    names = f"these are there: {', '.join(there[:3])}" if there else "this machine has no serial adapter now"
    fix = "plug the adapter in" + (f"; or set {setting} in config.toml to one of them" if there else "")
    return Finding("fail", "serial", f"{path} is not there", names, fix, "SER-002")


def _fix_of(error: PortError) -> str:
    """For a port that a service holds, the command that ends that service for good."""
    pid = re.search(r"\(pid (\d+)\)$", str(error))
    if error.code != "SER-005" or pid is None:
        return error.fix
    unit = machine.unit_of(int(pid.group(1)))
    end = f"sudo systemctl disable --now {unit}" if unit else f"sudo kill {pid.group(1)}"
    return f"{end}; vafa then takes the line by itself"


def refused(patient: Patient, device: Path) -> Finding | None:
    """What the service may not: the running process by its own groups, else its account."""
    found = device.stat()
    group = _group_name(found.st_gid)
    account = _account()
    pid = patient.status.pid if patient.status is not None and patient.running else 0
    process = machine.rights_of_process(pid) if pid else None
    may_account = account is None or account.may_read_and_write(device)
    if process is not None and not process.may_read_and_write(device) and may_account:
        return Finding(
            "fail", "serial", f"{device}: permission denied for group {group!r}",
            "the service was started before its account joined that group",
            "sudo systemctl restart vafa", "SER-003",
        )  # fmt: skip
    if may_account or account is None:
        return None
    what = f"{device}: permission denied for user {account.name!r}"
    mode = f"{stat.filemode(found.st_mode)} {_user_name(found.st_uid)}:{group}"
    if (found.st_mode >> 3) & 0o6 != 0o6 or group == "root":
        return Finding(
            "fail", "serial", what, f"the port is {mode}: its group may not use it",
            f"sudo chgrp {SERIAL_GROUP} {device}; sudo chmod 660 {device}   (a udev rule makes it last)",
            "SER-003",
        )  # fmt: skip
    again = "sudo systemctl restart vafa" if machine.has_systemd() else "log in anew"
    return Finding(
        "fail", "serial", what, f"the port is {mode}, and {account.name!r} is not in that group",
        f"sudo usermod -aG {group} {account.name}; {again}", "SER-003",
    )  # fmt: skip


def _account() -> Rights | None:
    """Who the service runs as: by its unit, else the account named so for root, else whoever asks."""
    named = machine.unit(UNIT, "User").get("User", "") if machine.has_systemd() else ""
    rights = machine.rights_of_account(named) if named else None
    if rights is None and os.geteuid() == 0:
        rights = machine.rights_of_account(SERVICE_ACCOUNT)
    if rights is None and os.geteuid() != 0:
        rights = Rights(_user_name(os.geteuid()), os.geteuid(), frozenset([os.getegid(), *os.getgroups()]))
    return rights


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
