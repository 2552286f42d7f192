"""`vafa doctor`, time: is the clock right, who vouches for it, does the shop's zone come out right?"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from vafa.app.findings import Finding, Patient
from vafa.app.status import iso
from vafa.ports import machine

OLDEST_MS = 1_735_689_600_000  # 2025-01-01: older than this programme, so the clock lost its time
_NTP = "sudo timedatectl set-ntp true"
# Iran has had no summer time since 1401 (2022); time zone data older than that is an hour off all summer.
_IRAN, _SUMMER, _IRAN_OFFSET = "Asia/Tehran", datetime(2026, 7, 1, tzinfo=UTC), timedelta(hours=3, minutes=30)


def look(patient: Patient) -> Iterator[Finding]:
    """Points lapse and days end by this clock; what was sold when the clock was wrong stays dated wrong."""
    if patient.now_ms < OLDEST_MS:
        yield Finding(
            "fail", "clock", f"this device believes it is {iso(patient.now_ms)[:16]}",
            "the cell of its clock is flat, and no time server answered since the start", _NTP, "CLK-001",
        )  # fmt: skip
        return
    facts = patient.status.clock if patient.status is not None else None
    attested = "the hub vouches for it" if facts is not None and facts.attested else "attested by nobody yet"
    match machine.clock_is_synchronised():
        case False:
            yield Finding(
                "warn", "clock", "no time server sets this clock", "left alone it drifts by seconds a day",
                _NTP, "CLK-010",
            )  # fmt: skip
        case True:
            yield Finding("ok", "clock", f"{iso(patient.now_ms)[:19]}Z, set by a time server; {attested}")
        case None:
            yield Finding("ok", "clock", f"{iso(patient.now_ms)[:19]}Z, {attested}; time server unknown")


def look_at_zone(patient: Patient) -> Iterator[Finding]:
    """The zone's own offset now, and for Iran a summer's day that old data gets wrong."""
    name = patient.config.shop.zone
    zone = ZoneInfo(name)  # the configuration was read with it
    offset = _SUMMER.astimezone(zone).utcoffset()
    if name == _IRAN and offset != _IRAN_OFFSET:
        yield Finding(
            "fail", "zone", f"the time zone data says that {name} has summer time",
            "the data is older than 2022: all summer days begin an hour off",
            "sudo apt-get install tzdata; then a newer vafa, which brings its own",
            "CLK-011",
        )  # fmt: skip
        return
    now = datetime.fromtimestamp(patient.now_ms / 1000, UTC).astimezone(zone)
    yield Finding("ok", "zone", f"{name}, now {now:%Y-%m-%d %H:%M} ({now:%z})")
