"""`vafa journal`: JSON lines, filters, pages, following, and the daemon down."""

import json

import pytest
from device import Device, Run
from shop import payment


def rows(out: str) -> list[int]:
    return [json.loads(line)["seq"] for line in out.splitlines()]


def test_each_event_is_a_line_of_json_with_fields_by_name(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        ran = vafa("journal")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["kind"] for each in events] == ["epoch_opened", "programme_activated", "award"]
    assert events[0]["event"]["ledger_id"] == (b"L" * 16).hex()
    assert events[2].keys() == {"number", "epoch", "seq", "at", "kind", "event", "check", "hash"}
    assert (events[2]["number"], events[2]["at"]) == ("1-1-3", "2025-12-29T09:20:00.000Z")
    assert events[2]["event"]["paid"]["amount"] == 105


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--since", "3"], [4, 5, 6]),
        (["--kind", "award"], [3, 4, 5, 6]),
        (["--kind", "EPOCH OPENED", "--kind", "award", "--limit", "2"], [1, 3]),
        (["--kind", "claim"], []),
        (["--since", "99"], []),
    ],
)
@pytest.mark.parametrize("up", [True, False])
def test_filters_choose_rows(
    device: Device, vafa: Run, arguments: list[str], expected: list[int], up: bool
) -> None:
    for n in range(4):
        device.shop.counter.post(payment(320062616116 + n))
    if up:
        with device.up():
            ran = vafa("journal", *arguments)
    else:
        ran = vafa("journal", *arguments)
    assert (ran.code, rows(ran.out)) == (0, expected)


def test_a_long_journal_comes_whole_though_pages_are_bounded(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vafa.app.questions.JOURNAL_ROWS_MAX", 2)
    for n in range(5):
        device.shop.counter.post(payment(320062616116 + n))
    whole = vafa("journal")
    assert rows(whole.out) == [1, 2, 3, 4, 5, 6, 7]
    assert whole.err == "the daemon is not running: read from the ledger\n"
    assert rows(vafa("journal", "--limit", "5").out) == [1, 2, 3, 4, 5]


def test_following_shows_what_is_added(device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        device.shop.counter.post(payment())

    monkeypatch.setattr("vafa.cli.journal.pause", pause)
    with device.up():
        ran = vafa("journal", "--follow", "--since", "1")
    assert (ran.code, rows(ran.out)) == (0, [2, 3])


def test_a_kind_that_is_none_ends_with_1(device: Device, vafa: Run) -> None:
    ran = vafa("journal", "--kind", "awards")
    assert ran.code == 1
    assert "did you mean award?" in ran.err
