"""`vafa doctor`: every check there is, run in turn, and what their findings come to.

To add a check, write `look(patient) -> findings` and give it a row here; nothing else has to know it. What
`status` says is wrong stands under the check its code belongs to, unless that check says the same itself.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator

from vafa import __version__
from vafa.app import (
    discovery,
    doctor_clock,
    doctor_config,
    doctor_disk,
    doctor_hub,
    doctor_ledger,
    doctor_link,
    doctor_local,
    doctor_ports,
    doctor_printers,
    doctor_service,
    doctor_terminals,
)
from vafa.app.findings import PORT_CODES, Check, Finding, Level, Patient, Report, Verdict
from vafa.app.standing import Trouble
from vafa.app.status import iso
from vafa.model.errors import VafaError

_LANES = ("SER", "TRM", "GAP")

CHECKS = (
    Check("config", "config.toml, the club's programme, the device key", doctor_config.look, ("CFG", "PRG")),
    Check("service", "does the daemon answer", doctor_service.look, ("RUN", "SRV", "JOB")),
    Check("unit", "systemd's unit and its limits", doctor_service.look_at_unit),
    Check("serial", "the ports: there, permitted, free", doctor_ports.look, PORT_CODES, of_config=True),
    Check("terminal", "does each terminal answer", doctor_terminals.look, _LANES, of_config=True),
    Check("local", "where payment applications come in", doctor_local.look),
    Check("printer", "receipt printers, Persian type", doctor_printers.look, ("PRN",), of_config=True),
    Check("discovery", "terminals that announce themselves", discovery.look, ("UDP",), of_config=True),
    Check("clock", "the device's clock", doctor_clock.look, ("CLK",)),
    Check("zone", "time zone data", doctor_clock.look_at_zone),
    Check("link", "which network link carries us", doctor_link.look, ("LINK",)),
    Check("tls", "the hub's certificate", doctor_hub.look_at_tls, ("SYN-005",)),
    Check("hub", "does the hub answer, and take what is sent", doctor_hub.look, ("SYN", "ENR")),
    Check("ledger", "file, chain, write-ahead log", doctor_ledger.look, ("LED", "KEY")),
    Check("disk", "space, mounts, wear", doctor_disk.look),
)
_REST = "service"  # where trouble stands that no row claims
_ORDER = {"fail": 0, "warn": 1, "ok": 2}
_LEVELS: dict[str, Verdict] = {"fail": "broken", "warn": "degraded", "ok": "ok"}


def examine(patient: Patient, only: Collection[str] = (), checks: Iterable[Check] = CHECKS) -> Report:
    """Run the checks, or the named ones. Trouble first, otherwise in the table's order."""
    rows = tuple(checks)
    findings: list[Finding] = []
    for check in rows:
        if (not only or check.name in only) and not (check.of_config and patient.unread):
            patient.say(check.name)
            findings += _looked(check, patient, rows)
    patient.say("")
    findings.sort(key=lambda finding: _ORDER[finding.level])
    return Report(
        verdict=_LEVELS[findings[0].level] if findings else "ok",
        running=patient.running,
        checked_at=iso(patient.now_ms),
        version=__version__,
        findings=tuple(findings),
    )


def exit_code(report: Report) -> int:
    """UX's scale: 2 the configuration has faults, 3 the daemon is not running, 20 broken, 10 degraded, 0."""
    codes = {finding.code for finding in report.findings if finding.level == "fail"}
    if codes & {"CFG-001", "PRG-001"}:
        return 2
    if not report.running and "RUN-001" in codes:
        return 3
    return {"ok": 0, "degraded": 10, "broken": 20}[report.verdict]


def _looked(check: Check, patient: Patient, rows: tuple[Check, ...]) -> list[Finding]:
    """The check's own findings, and what `status` says under its name."""
    try:
        own = list(check.look(patient))
    except (VafaError, OSError, sqlite3.Error) as error:  # a check that cannot look says so
        fix = error.fix if isinstance(error, VafaError) else ""
        code = error.code if isinstance(error, VafaError) else VafaError.code
        own = [Finding("fail", check.name, f"cannot be looked at: {error}", fix=fix, code=code)]
    said = {finding.code for finding in own}
    told = [_told(check.name, each) for each in _troubles(check, patient, rows) if each.code not in said]
    if any(finding.level != "ok" for finding in told):
        own = [finding for finding in own if finding.level != "ok"]
    return own + told


def _troubles(check: Check, patient: Patient, rows: tuple[Check, ...]) -> Iterator[Trouble]:
    """What `status` says that belongs under this check: the longest beginning of its code decides."""
    for trouble in patient.status.trouble if patient.status is not None else ():
        claims = [
            (len(code), row.name) for row in rows for code in row.codes if trouble.code.startswith(code)
        ]
        if (max(claims)[1] if claims else _REST) == check.name:
            yield trouble


def _told(name: str, trouble: Trouble) -> Finding:
    level: Level = "fail" if trouble.level == "broken" else "warn"
    return Finding(level, name, trouble.message, fix=trouble.fix, code=trouble.code)
