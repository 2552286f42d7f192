"""`vafa doctor`, the service: does the daemon answer, and what does systemd say of its unit?"""

from collections.abc import Iterator

from vafa import __version__
from vafa.app.findings import Finding, Patient
from vafa.model.errors import NotRunning
from vafa.ports import machine

UNIT, RELAY_UNIT = "vafa.service", "vafa-relay.service"
RESTARTS_SHOWN = 3
STOP_MARGIN_S = 20  # beyond the customer's time: what the unit's own TimeoutStopSec leaves
MEMORY_USED_MAX = 0.8
_LOG = "journalctl -u vafa -n 50"
_WHY_ENDED = {
    "exit-code": "it ended with exit code {ExecMainStatus}",
    "signal": "it was killed by signal {ExecMainStatus}",
    "watchdog": "it gave no sign of life and was killed",
    "oom-kill": "this machine ran out of memory",
    "timeout": "it did not start in time",
    "start-limit-hit": "it failed too often",
}


def look(patient: Patient) -> Iterator[Finding]:
    """Is it up, is it the version that is installed?"""
    if not patient.running:
        yield _not_running(patient)
        return
    assert patient.status is not None
    status = patient.status
    if status.version != __version__:
        yield Finding(
            "warn",
            "service",
            f"the daemon runs version {status.version}, installed is {__version__}",
            "it was not restarted after the update",
            "sudo systemctl restart vafa",
            "RUN-010",
        )
        return
    yield Finding(
        "ok", "service", f"vafa {status.version} answers, up {_span(status.up_s)}, pid {status.pid}"
    )


def _not_running(patient: Patient) -> Finding:
    silence = patient.silence
    if silence is not None and not isinstance(silence, NotRunning):  # it is there, and not for us
        return Finding("fail", "service", str(silence), fix=silence.fix, code=silence.code)
    what = "the daemon does not run: sales earn nothing now"
    if patient.alive:
        what = "the daemon runs and does not answer: sales may earn nothing now"
        why = f"it holds the ledger of {patient.config.ledger_directory}, and its socket is silent"
        return Finding("fail", "service", what, why, f"{_restart()}; {_LOG}", NotRunning.code)
    return Finding("fail", "service", what, _why_stopped(patient), _start(patient), NotRunning.code)


def _why_stopped(patient: Patient) -> str:
    if patient.faults:
        return "it does not start while the configuration has faults"
    seen = machine.unit(UNIT, "LoadState", "ActiveState", "Result", "ExecMainStatus")
    if seen.get("LoadState") not in ("loaded", None):
        return "its unit is not installed"
    ended = _WHY_ENDED.get(seen.get("Result", ""), "")
    if ended:
        return ended.format_map({"ExecMainStatus": "?"} | seen)
    return "" if seen.get("ActiveState", "active") == "active" else f"systemd says {seen['ActiveState']}"


def _start(patient: Patient) -> str:
    if patient.faults:
        return f"correct them first; vafa run --check --config {patient.config_path}"
    if not machine.has_systemd():
        return f"vafa run --config {patient.config_path}"
    return f"sudo systemctl start vafa; if it stops again: {_LOG}"


def _restart() -> str:
    return "sudo systemctl restart vafa" if machine.has_systemd() else "stop it and start it again"


def look_at_unit(patient: Patient) -> Iterator[Finding]:
    """Where systemd is: is the unit there, does it start at boot, do its limits fit the configuration?"""
    if not machine.has_systemd():
        yield Finding("ok", "unit", "no systemd here: no unit to look at")
        return
    seen = machine.unit(
        UNIT, "LoadState", "UnitFileState", "NeedDaemonReload", "NRestarts", "TimeoutStopUSec",
        "MemoryCurrent", "MemoryMax",
    )  # fmt: skip
    if seen.get("LoadState") != "loaded":
        yield Finding(
            "warn", "unit", "vafa.service is not installed", "vafa does not start when this device does",
            "sudo apt install --reinstall ./vafa_VERSION_ARCH.deb",
            "RUN-011",
        )  # fmt: skip
        return
    found = [*_of_state(seen, UNIT), *_of_limits(seen, patient)]
    if any(terminal.mode == "proxy" for terminal in patient.config.terminal):
        relay = machine.unit(RELAY_UNIT, "LoadState", "UnitFileState", "NeedDaemonReload", "NRestarts")
        found += _of_state(relay, RELAY_UNIT)
    yield from found or [Finding("ok", "unit", "installed, starts at boot, limits fit the configuration")]


def _of_state(seen: dict[str, str], unit: str) -> Iterator[Finding]:
    name = unit.removesuffix(".service")
    if seen.get("LoadState") != "loaded":
        yield Finding(
            "warn", "unit", f"{unit} is not installed", "a terminal of mode proxy needs it: docs/relay.md",
            "sudo apt install --reinstall ./vafa_VERSION_ARCH.deb",
            "RUN-011",
        )  # fmt: skip
        return
    if seen.get("UnitFileState") != "enabled":
        yield Finding(
            "warn", "unit", f"{unit} does not start when this device does", f"it is {_state_of(seen)}",
            f"sudo systemctl enable {name}", "RUN-011",
        )  # fmt: skip
    if seen.get("NeedDaemonReload") == "yes":
        yield Finding(
            "warn", "unit", f"{unit} was changed and not read again", "",
            f"sudo systemctl daemon-reload; sudo systemctl restart {name}", "RUN-011",
        )  # fmt: skip
    restarts = seen.get("NRestarts", "0")
    if restarts.isdigit() and int(restarts) >= RESTARTS_SHOWN:
        yield Finding(
            "warn", "unit", f"{unit} was started again {restarts} times since it was first started", "",
            f"journalctl -u {name} -p warning", "RUN-012",
        )  # fmt: skip


def _state_of(seen: dict[str, str]) -> str:
    return seen.get("UnitFileState") or "not enabled"


def _of_limits(seen: dict[str, str], patient: Patient) -> Iterator[Finding]:
    longest_s = max((t.answer_timeout_s for t in patient.config.terminal if t.mode == "ecr"), default=0)
    stop_s = _seconds(seen.get("TimeoutStopUSec", ""))
    if stop_s is not None and stop_s < longest_s + STOP_MARGIN_S:
        yield Finding(
            "warn", "unit", f"systemd waits {stop_s:.0f} s for a stop; a customer may take {longest_s} s",
            "a restart would cut a payment in hand off",
            f"sudo systemctl edit vafa: [Service] TimeoutStopSec={longest_s + STOP_MARGIN_S}", "RUN-013",
        )  # fmt: skip
    used, most = seen.get("MemoryCurrent", ""), seen.get("MemoryMax", "")
    if used.isdigit() and most.isdigit() and int(used) > MEMORY_USED_MAX * int(most):
        yield Finding(
            "warn", "unit", f"vafa uses {int(used) >> 20} MB of the {int(most) >> 20} MB it may", "",
            f"sudo systemctl restart vafa; {_LOG}", "RUN-013",
        )  # fmt: skip


def _seconds(text: str) -> float | None:
    """`3min 20s` as systemd writes spans; None for `infinity` and what is no span."""
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "us": 1e-6, "d": 86400.0}
    total = 0.0
    for part in text.split():
        digits = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        if not digits.replace(".", "", 1).isdigit() or part[len(digits) :] not in units:
            return None
        total += float(digits) * units[part[len(digits) :]]
    return total if text else None


def _span(seconds: float) -> str:
    days, hours, minutes = seconds // 86_400, seconds // 3600, seconds // 60
    if days:
        return f"{days:.0f}d {hours % 24:02.0f}h"
    return (
        f"{hours:.0f}h {minutes % 60:02.0f}m"
        if hours
        else f"{minutes:.0f}m"
        if minutes
        else f"{seconds:.0f}s"
    )
