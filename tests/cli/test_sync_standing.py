"""The facts of the sync, out of what it keeps beside a real ledger; the same with the daemon down."""

import msgspec
import pytest
from device import NOW_MS, Device, Run
from shop import payment

from vafa.app.sync_standing import FOLDER, of_ledger
from vafa.sync import enrolment
from vafa.sync.enrolment import Enrolment
from vafa.sync.facts import SyncFacts
from vafa.sync.kept import FILE, Kept, Store, Sync, Trouble
from vafa.wire.messages import Mark

ENROLLED = Enrolment("https://hub.example", "negin", 1, "00" * 32, "00" * 32, "0102")
GOOD = Sync(NOW_MS - 60_000, True, 3, 200, 90, 800, False, 80, "wwan0 sim")
BAD = msgspec.structs.replace(GOOD, at_ms=NOW_MS - 20_000, ok=False, rows=2, code="SYN-006", text="no answer")


@pytest.fixture(autouse=True)
def _enrolled(device: Device) -> None:
    for number in range(2):
        device.shop.counter.post(payment(number))
    enrolment.save(device.config.parent, ENROLLED)


def keep(device: Device, kept: Kept, *syncs: Sync) -> None:
    store = Store(device.config.parent / FOLDER / FILE)
    for sync in syncs:
        store.keep(kept, sync)
    store.close()


def facts(device: Device) -> SyncFacts:
    return of_ledger(device.config.parent, "hub.example", NOW_MS)


def test_a_device_that_never_synced_has_everything_waiting(device: Device) -> None:
    found = facts(device)
    assert (found.state, found.waiting, found.reach) == ("never", device.shop.ledger.head.seq, ())
    assert found.last_sync_age_s is None


def test_after_a_good_sync_nothing_waits_and_the_clock_was_checked(device: Device) -> None:
    received = Mark(1, device.shop.ledger.head.seq, b"h" * 8)
    keep(
        device,
        Kept(
            received=received, last_ok_ms=NOW_MS - 60_000, skew_ms=210, rtt_ms=81, checked_ms=NOW_MS - 60_000
        ),
        GOOD,
    )
    found = facts(device)
    assert (found.state, found.waiting, found.oldest_age_s, found.reach) == ("reachable", 0, None, (True,))
    assert (found.skew_s, found.skew_age_s, found.round_trip_ms, found.last_sync_age_s) == (0.21, 60, 81, 60)


def test_after_a_sync_that_failed_what_it_carried_is_retried_and_the_oldest_row_s_age_is_told(
    device: Device,
) -> None:
    head = device.shop.ledger.head.seq
    trouble = Trouble("SYN-006", "no answer", "vafa doctor")
    keep(device, Kept(received=Mark(1, head - 3, b"h" * 8), failures=1, trouble=trouble), GOOD, BAD)
    found = facts(device)
    assert (found.state, found.waiting, found.retrying, found.reach) == ("unreachable", 3, 2, (False, True))
    assert (found.failed_age_s, found.oldest_age_s) == (20, 0)
    assert (found.trouble, found.code, found.fix) == ("no answer", "SYN-006", "vafa doctor")


def test_a_final_no_is_refused_until_a_person_acts(device: Device) -> None:
    keep(device, Kept(final=Trouble("SYN-012", "taken off")), BAD)
    assert (facts(device).state, facts(device).code) == ("refused", "SYN-012")


def test_a_file_that_cannot_be_read_is_as_if_nothing_was_ever_sent(device: Device) -> None:
    folder = device.config.parent / FOLDER
    folder.mkdir()
    (folder / FILE).write_bytes(b"not a database, not at all" * 100)
    assert (facts(device).state, facts(device).waiting) == ("never", device.shop.ledger.head.seq)


def test_with_the_daemon_down_status_tells_what_waits(device: Device, vafa: Run) -> None:
    keep(device, Kept(received=Mark(1, device.shop.ledger.head.seq - 1, b"h" * 8)), GOOD)
    ran = vafa("status")
    assert ran.code == 3
    assert "  Queue     1 waiting   0 retrying  0 in suspense      oldest" in ran.out
    assert "  Hub       hub.example             reachable" in ran.out
