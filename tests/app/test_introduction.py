"""The secret of the loopback port: its file, and what a first line must be."""

import grp
import json
import os
import stat
from pathlib import Path

import pytest
import structlog

from vafa.app.introduction import Introduction, load_or_make
from vafa.model.errors import KeyFileError

TOLD = "5f0c3a9e1b7d4426"


def hello(**fields: object) -> bytes:
    return json.dumps({"op": "hello", **fields}).encode()


def test_the_right_hello_is_let_in() -> None:
    assert Introduction(TOLD).turned_away(hello(client="till 3", secret=TOLD, id=1)) is None


@pytest.mark.parametrize(
    "line",
    [
        hello(), *(hello(secret=wrong) for wrong in ("", TOLD[:-1], TOLD + "0", TOLD.upper(), "رمز", [TOLD])),
        hello(secret=TOLD, pin=1),
        json.dumps({"op": "ping", "secret": TOLD}).encode(), TOLD.encode(), b"", b"\xff\xfe", b"[" * 2000,
        b"GET / HTTP/1.1\r",
    ],
)  # fmt: skip
def test_any_other_line_is_turned_away_and_told_nothing(line: bytes) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = Introduction(TOLD).turned_away(line)
    assert answer is not None
    assert json.loads(answer)["code"] == "ASK-007"
    assert TOLD[:-1] not in answer.decode() + str(logged)


def test_a_secret_is_made_once_for_the_group_alone(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    made = load_or_make(tmp_path / "secret", group)
    assert len(made) == 64
    found = (tmp_path / "secret").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, os.getgid())
    assert load_or_make(tmp_path / "secret", group) == made
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("text", "mode", "group", "said"),
    [
        (TOLD, 0o644, "", "can be read by everybody"),
        ("0000", 0o640, "", "is shorter than 16 letters"),
        (None, 0, "no-such-group", "no group 'no-such-group'"),
    ],
)
def test_a_secret_that_guards_nothing_is_refused(
    tmp_path: Path, text: str | None, mode: int, group: str, said: str
) -> None:
    path = tmp_path / "secret"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(KeyFileError, match=said) as told:
        load_or_make(path, group)
    assert (told.value.code, bool(told.value.fix)) == ("KEY-002", True)
    assert path.exists() == (text is not None)


def test_a_place_where_no_secret_can_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read or made"):
        load_or_make(tmp_path / "none" / "secret", "")
