"""Whole fleets in one thread from a seed: every row at the hub once, whatever goes wrong on the way.

The long run (at least 1,000 faults of each kind) is scripts/fleets.
"""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from simulated.fleet import HEARD, history
from simulated.forking import CLONED, HEARD_AGAIN, REDEEMED, RESTORED, SPENT_TWICE, ForkingFleet
from simulated.hubs import Disagreement, MemoryHub
from simulated.long_run import scratch
from simulated.net import FAULTS

from vafa.app import forgetting, recounting
from vafa.app.recount_value import KNOWN, Around, Recounted
from vafa.ledger.ledger import Transaction
from vafa.model import events


def test_every_row_is_at_the_hub_once_with_equal_hashes_after_faults_of_every_kind() -> None:
    seen: Counter[str] = Counter()
    for seed in range(9):
        history(seed, MemoryHub, seen, scratch())
    others = ("hub down", "device killed", "clock jumped", "hub restored from an older backup (rows lost)")
    assert seen[HEARD] > 10, seen
    kinds = (*FAULTS, *others, "request after later ones (reordered)")
    assert sum(seen[kind] for kind in kinds) > 300
    assert min(seen[kind] for kind in kinds) > 3, seen


def test_a_hub_that_books_what_it_has_already_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(Disagreement, match="booked as number"):
        history(1, lambda clock_ms: MemoryHub(clock_ms, idempotent=False), Counter(), tmp_path)


def test_a_fleet_does_the_same_again_from_the_same_seed(tmp_path: Path) -> None:
    first, again = Counter[str](), Counter[str]()
    history(5, MemoryHub, first, tmp_path, steps=60)
    history(5, MemoryHub, again, tmp_path, steps=60)
    assert first == again


def test_devices_that_were_restored_or_copied_have_all_of_every_branch_once() -> None:
    seen: Counter[str] = Counter()
    for seed in (2, 6, 7):
        history(seed, MemoryHub, seen, scratch(), kind=ForkingFleet)
    kinds = (RESTORED, CLONED, "rows of branches counted again", HEARD_AGAIN, SPENT_TWICE, REDEEMED)
    assert min(seen[kind] for kind in kinds) >= 5, seen


def test_a_person_forgotten_again_at_each_telling_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = forgetting.is_news
    monkeypatch.setattr(forgetting, "is_news", lambda *told: (once(*told), True)[1])
    with pytest.raises(Disagreement, match="forgot the same twice"):
        history(1, MemoryHub, Counter(), tmp_path)


def test_a_hub_that_does_not_tell_whom_others_forgot_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryHub, "_note_forgotten", lambda *_: None)
    with pytest.raises(Disagreement, match="has not heard"):
        history(3, MemoryHub, Counter(), tmp_path, steps=90)


def test_payments_counted_in_both_branches_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = recounting._RULES[events.Award]

    def twice(tx: Transaction, around: Around, event: events.Award) -> Recounted:
        key = msgspec.structs.replace(event.paid.key, reuse=1)
        again = msgspec.structs.replace(event, paid=msgspec.structs.replace(event.paid, key=key), claim="")
        return once(tx, around, again)

    monkeypatch.setattr(recounting, "_RULES", recounting._RULES | {events.Award: twice})
    with pytest.raises(Disagreement, match=r"nobody made|is not counted"):
        history(2, MemoryHub, Counter(), tmp_path, kind=ForkingFleet)


def test_a_debt_that_is_not_booked_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(tx: Transaction, around: Around, event: events.Redemption) -> Recounted:
        return KNOWN

    monkeypatch.setattr(recounting, "_RULES", recounting._RULES | {events.Redemption: never})
    with pytest.raises(Disagreement, match="lacks redemptions"):
        history(7, MemoryHub, Counter(), tmp_path, kind=ForkingFleet)


def test_a_hub_that_does_not_look_what_was_counted_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(Disagreement, match="rows are not counted"):
        history(2, lambda c: MemoryHub(c, counts_once=False), Counter(), tmp_path, kind=ForkingFleet)
