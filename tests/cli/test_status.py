"""`vafa status` as support reads it: golden screens of 80 columns, exit codes, JSON, and the daemon down."""

import contextlib
import json
import os
import subprocess
import sys
import threading

import msgspec
import pytest
from device import LANE, Device, Run
from shop import TID, payment

from vafa.app.standing import ClockFacts, Queue, Status, TerminalFacts, Today, Trouble
from vafa.cli.status import ago, cut, screen, span, styled
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

OK = """\
● OK    terminal C0000301 · Kafe Negin · vafa 0.1.0 · up 3d 04h

  Terminal  ttyUSB0                 answering          last frame      4 s ago
  Clock     12:50:00 Asia/Tehran    not attested
  Queue     not enrolled            3 events kept on this device
  Today     1 sale   0 awarded  1 wait for a claim   10 points
  Backup    none yet
"""
UNSURE = """\
▲ DEGRADED  terminal C0000301 · Kafe Negin · vafa 0.1.0 · up 3d 04h

! Sale 1-1-3: nobody knows yet whether 250,000 rial were paid.
! Look for 250,000 in the last transactions of terminal C0000301 before asking
! the customer to pay again. The terminal's list settles it; where not, the
! slip: vafa record --sale 1-1-3, or not paid: vafa gap unpaid 1-1-3.
! [TRM-008]

  Terminal  ttyUSB0                 answering          last frame      4 s ago
  Clock     12:50:00 Asia/Tehran    not attested
  Queue     not enrolled            4 events kept on this device
  Today     0 sales   0 awarded  0 wait for a claim   0 points
  Sale      1-1-3  250,000 rial     unsure             since           0 s ago
  Backup    none yet
"""
SILENT = """\
■ BROKEN  terminal C0000301 · Kafe Negin · vafa 0.1.0 · up 3d 04h

! Terminal C0000301, for 41 min: it answered before and is silent now (9
! questions in a row).
! Is it on? Switch it off and on.   [TRM-010]

  Terminal  ttyUSB1 115200 8N1      silent             last frame   42 min ago
  Clock     12:50:00 Asia/Tehran    not attested
  Queue     not enrolled            2 events kept on this device
  Today     0 sales   0 awarded  0 wait for a claim   0 points
  Backup    none yet
"""
CLOSED = """\
■ BROKEN  terminal C0000301 · Kafe Negin · vafa 0.1.0 · up 3d 04h

! Terminal C0000301 cannot be reached, for 40 s: /dev/ttyUSB0 is in use by
! minicom (pid 4711).
! Stop that program; vafa takes the line by itself when it is free   [SER-005]

  Terminal  ttyUSB0                 closed             since          40 s ago
  Clock     12:50:00 Asia/Tehran    not attested
  Queue     not enrolled            2 events kept on this device
  Today     0 sales   0 awarded  0 wait for a claim   0 points
  Backup    none yet
"""
DOWN = """\
○ NOT RUNNING  terminal C0000301 · Kafe Negin · vafa 0.1.0

! The daemon does not answer: sales earn nothing now.
! sudo systemctl restart vafa; if it stops again: journalctl -u vafa   [RUN-001]

  Terminal  ttyUSB0                 unknown
  Clock     12:50:00 Asia/Tehran    not attested
  Queue     not enrolled            3 events kept on this device
  Today     1 sale   0 awarded  1 wait for a claim   10 points
  Backup    none yet
"""


def test_a_shop_in_order_shows_one_screen_and_ends_with_0(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        ran = vafa("status")
    assert (ran.code, ran.out, ran.err) == (0, OK, "")


def test_an_unsure_sale_is_trouble_before_facts_and_ends_with_10(device: Device, vafa: Run) -> None:
    asked = device.shop.sales.ask(TID, "r-1", 250_000, b"", CardHint())
    device.shop.sales.end(asked, SaleOutcome.UNSURE, "", None)
    with device.up():
        ran = vafa("status")
    assert (ran.code, ran.out) == (10, UNSURE)


def test_unposted_payments_end_with_20(device: Device, vafa: Run) -> None:
    lane = msgspec.structs.replace(LANE, unposted=1)
    device.live = msgspec.structs.replace(device.live, lanes=(lane,))
    with device.up():
        ran = vafa("status")
    assert ran.code == 20
    assert ran.out.startswith("■ BROKEN")


def test_a_terminal_that_fell_silent_and_a_line_in_use_say_since_when_and_what_to_do(
    device: Device, vafa: Run
) -> None:
    lanes = (
        msgspec.structs.replace(
            LANE, wired="ttyUSB1 115200 8N1", last_frame_age_s=2_500.0, since_s=2_460.0, finding="silent",
            trouble="it answered before and is silent now (9 questions in a row)", cut_off=True,
            fix="Is it on? Switch it off and on.", code="TRM-010",
        ),
        msgspec.structs.replace(
            LANE, line="closed", since_s=40.0, trouble="/dev/ttyUSB0 is in use by minicom (pid 4711)",
            cut_off=True, fix="stop that program; vafa takes the line by itself when it is free",
            code="SER-005",
        ),
    )  # fmt: skip
    for lane, shown in zip(lanes, (SILENT, CLOSED), strict=True):
        device.live = msgspec.structs.replace(device.live, lanes=(lane,))
        with device.up():
            ran = vafa("status")
        assert (ran.code, ran.out) == (20, shown)


def test_the_daemon_down_is_said_and_the_ledger_read_and_ends_with_3(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    ran = vafa("status")
    assert (ran.code, ran.out) == (3, DOWN)


def test_without_a_ledger_it_still_says_what_is_wrong(device: Device, vafa: Run) -> None:
    device.shop.ledger.close()
    for file in device.config.parent.glob("ledger.db*"):
        file.unlink()
    ran = vafa("status")
    assert ran.code == 3
    assert "[LED-006]" in ran.out
    assert "[RUN-001]" in ran.out


def test_json_has_schema_verdict_iso_times_and_ids_as_text(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        ran = vafa("status", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["schema"], found["verdict"], found["running"]) == (0, 1, "ok", True)
    assert found["checked_at"] == "2025-12-29T09:20:00.000Z"
    assert found["terminals"][0]["terminal"] == TID
    assert found["today"]["points"] == 10
    assert (found["queue"]["enrolled"], found["queue"]["kept"], found["queue"]["waiting"]) == (False, 3, None)
    assert (found["links"], found["hub"]) == ([], None)


def test_a_config_with_faults_ends_with_2(device: Device, vafa: Run) -> None:
    device.config.write_text("this is no TOML")
    ran = vafa("status")
    assert ran.code == 2
    assert "not TOML" in ran.err


def test_a_config_that_is_not_there_ends_with_2(device: Device, vafa: Run) -> None:
    assert vafa("status", "--config", str(device.config) + ".none").code == 2


def test_exit_when_ok_asks_until_all_is_well(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, pauses = device.live, []
    device.live = msgspec.structs.replace(well, ledger_failure="disk full")

    def repaired(_event: threading.Event, timeout: float | None = None) -> bool:
        pauses.append(timeout)
        device.live = well
        return False

    with device.up():
        monkeypatch.setattr("vafa.cli.status.pause", lambda seconds: repaired(threading.Event(), seconds))
        ran = vafa("status", "--exit-when-ok")
    assert (ran.code, ran.out, pauses) == (0, "", [1.0])


def test_watch_redraws_until_it_is_interrupted(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("vafa.cli.status.pause", pause)
    with device.up():
        ran = vafa("status", "--watch")
    assert ran.code == 0
    assert ran.out.count("● OK") == 2


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_without_no_color(
    monkeypatch: pytest.MonkeyPatch, no_colour: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setattr("vafa.cli.status.on_terminal", lambda: True)
    assert [line.startswith("\x1b[") for line in styled(["● OK", "", "! look"], "ok")] == [
        coloured, False, coloured,
    ]  # fmt: skip


def full() -> Status:
    """Everything at once, as long as it gets."""
    return Status(
        verdict="broken",
        running=True,
        checked_at="2025-12-29T09:20:00.000Z",
        shop="فروشگاه زنجیره‌ای بزرگ بازار تجریش شعبهٔ مرکزی",
        version="10.20.30",
        up_s=1e7,
        trouble=(Trouble("broken", "word " * 40, "do " * 60, "LED-001"),),
        terminals=(
            TerminalFacts(
                TID, "ecr", "/dev/serial/by-id/usb-FTDI_FT232R", "answering", "customer pays 9,999,999,999",
                99_999.0,
            ),
            TerminalFacts("C0000302", "local", "", "local"),
        ),
        clock=ClockFacts("1970-01-01T00:00:00.000Z", "America/Argentina/ComodRivadavia"),
        queue=Queue(False, 10**9),
        today=Today("x", 10**6, 10**6, 10**6, 10**6, 10**9),
    )  # fmt: skip


def test_no_line_is_wider_than_80_columns() -> None:
    shown = [line.replace("\u2068", "").replace("\u2069", "") for line in screen(full())]
    assert max(len(line) for line in shown) <= 80
    assert any(len(line) == 80 for line in shown)


def test_several_terminals_are_told_apart_and_leave_room_on_line_1() -> None:
    terminals = (
        TerminalFacts("40217736", "ecr", "/dev/ttyUSB0", "answering", wired="ttyUSB0 115200 8N1"),
        TerminalFacts("40217737", "poll", "tcp:192.0.2.1:8888", "unheard"),
        TerminalFacts("C0000302", "local", "", "local"),
    )
    status = msgspec.structs.replace(full(), shop="Kafe Negin", up_s=60.0, terminals=terminals)
    lines = screen(status)
    assert lines[0] == "■ BROKEN  3 terminals · Kafe Negin · vafa 10.20.30 · up 1m"
    assert [line.split() for line in lines if line.startswith("  Terminal")] == [
        ["Terminal", "40217736", "ttyUSB0", "answering"],
        ["Terminal", "40217737", "192.0.2.1:8888", "unheard"],
        ["Terminal", "C0000302", "by", "local", "protocol"],
    ]


def test_what_is_cut_closes_its_isolate() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("a\u2068bcd\u2069", 3) == "a\u2068b\u2069…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s ago"), (89, "89 s ago"), (90, "2 min ago"), (5_399, "90 min ago"), (7_200, "2 h ago")],
)
def test_ages_are_told_in_one_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40s"), (720, "12m"), (7_500, "2h 05m"), (273_845, "3d 04h")]
)
def test_spans_are_told_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("up", [True, False])
def test_it_loads_nothing_slow(device: Device, up: bool) -> None:
    script = "import sys; from vafa.cli.main import main\ntry: main(['status'])\nfinally: print(*sys.modules)"
    with device.up() if up else contextlib.nullcontext():
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        command = [sys.executable, "-c", script]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=unmeasured)
    assert ("● OK" in ran.stdout) == up
    loaded = {name.partition(".")[0] for name in ran.stdout.splitlines()[-1].split()}
    assert "click" in loaded
    assert loaded & {"structlog", "apscheduler", "sqlite_utils", "cryptography", "serial", "httpx"} == set()
    assert ("sqlite3" in loaded) == (not up)
