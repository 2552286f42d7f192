"""The log carries facts, and never a card number, a phone or raw bytes, whatever a caller hands it."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from vafa.app.logs import _LONG_NUMBER, _PHONE, Format, _masked_phone, mask, set_up
from vafa.model.identity import without_phones
from vafa.model.pan import mask_pans

PAN = "6219861000000009"  # invented; passes Luhn
PHONE = "09121236789"


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def written(format_: Format, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    set_up(format_, level, stream)
    return stream


def test_json_lines_carry_level_time_and_values() -> None:
    stream = written("auto")  # a stream without a descriptor is no journal and no terminal
    structlog.get_logger().info("awarded", points=125, shop="کافه", seq=7)
    entry = json.loads(stream.getvalue())
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "awarded", "level": "info", "points": 125, "shop": "کافه", "seq": 7}


def test_lines_below_the_level_are_not_written() -> None:
    stream = written("json", "warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize(
    "spelling",
    [PAN, int(PAN), "6219 8610 0000 0009", PAN.translate({48 + i: 0x6F0 + i for i in range(10)}),
     f"card {PAN}.", [PAN], {"deep": {"deeper": (PAN,)}}, {PAN: 1}, ValueError(PAN)],
)  # fmt: skip
@pytest.mark.parametrize("format_", ["json", "journal", "console"])
def test_a_card_number_never_reaches_the_log(spelling: object, format_: Format) -> None:
    stream = written(format_)
    structlog.get_logger().info("noise", heard=spelling)
    assert "621986******0009" in stream.getvalue()
    assert PAN[6:12] not in stream.getvalue()


@pytest.mark.parametrize(
    "spelling", [PHONE, "+989121236789", "0912 123 6789", "00989121236789", "۰۹۱۲۱۲۳۶۷۸۹"]
)
def test_a_phone_is_masked_in_every_spelling(spelling: str) -> None:
    assert mask(None, "", {"event": f"asked by {spelling}, twice"})["event"] == "asked by 0912•••6789, twice"


@pytest.mark.parametrize(
    "value", ["320062616116", "40217736", "2026-11-23T12:00:00.123456Z", "1764000000000", 125_000]
)
def test_what_is_neither_stays_as_it_is(value: object) -> None:
    assert mask(None, "", {"event": value}) == {"event": value}


@given(st.text("0123456789۰۹٩१ -()+.:a", max_size=30))
def test_a_text_without_a_long_number_holds_nothing_to_mask(text: str) -> None:
    whole = without_phones(_PHONE.sub(_masked_phone, mask_pans(text)))
    assert whole == text or _LONG_NUMBER.search(text)


@pytest.mark.parametrize("raw", [PAN.encode(), bytearray(16), memoryview(bytes(16))])
def test_bytes_become_their_length(raw: object) -> None:
    assert mask(None, "", {"event": "frame", "raw": raw, "more": [raw]}) == {
        "event": "frame", "raw": "<16 bytes>", "more": ["<16 bytes>"],
    }  # fmt: skip


def test_a_traceback_is_masked_too() -> None:
    stream = written("json")
    try:
        raise ValueError(f"bad card {PAN}")
    except ValueError:
        structlog.get_logger().exception("crashed")
    entry = json.loads(stream.getvalue())
    assert "bad card 621986******0009" in entry["exception"]
    assert PAN not in stream.getvalue()


def test_journald_gets_a_priority_on_every_line() -> None:
    stream = written("journal", "debug")
    log = structlog.get_logger()
    log.warning("no_network", since_min=41)
    try:
        raise ValueError("a bug")
    except ValueError:
        log.exception("crashed", lane="40217736")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "<4>no_network since_min=41"
    assert lines[1] == "<3>crashed lane=40217736"
    assert lines[-1] == "<3>ValueError: a bug"
    assert all(line.startswith("<3>") for line in lines[1:])


@pytest.mark.parametrize(("moved_by", "start"), [(0, "<6>"), (1, "{")])
def test_the_journal_is_chosen_only_when_stderr_is_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved_by: int, start: str
) -> None:
    with (tmp_path / "stderr").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + moved_by}")
        set_up("auto", "info", stream)
        structlog.get_logger().info("ready")
        stream.flush()
        assert (tmp_path / "stderr").read_text().startswith(start)
