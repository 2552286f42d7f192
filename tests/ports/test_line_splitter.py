"""Lines out of bytes: whatever the pieces, however long a line."""

from hypothesis import given
from hypothesis import strategies as st

from vafa.ports.line_splitter import LineSplitter

MAX = 8
PIECES = st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", b"\n\n", b"x" * 9, b"x" * 30]))


def plainly(data: bytes) -> list[bytes | None]:
    """What `data` holds, without a thought for memory."""
    *ended, open_end = data.split(b"\n")
    found: list[bytes | None] = [line if len(line) <= MAX else None for line in ended]
    return [*found, None] if len(open_end) > MAX else found


@given(PIECES)
def test_any_pieces_give_the_lines_of_the_whole(pieces: list[bytes]) -> None:
    splitter = LineSplitter(MAX)
    found = [line for piece in pieces for line in splitter.feed(piece)]
    assert found == plainly(b"".join(pieces))


@given(PIECES)
def test_no_more_is_kept_than_a_line_may_hold(pieces: list[bytes]) -> None:
    splitter = LineSplitter(MAX)
    for piece in pieces:
        splitter.feed(piece)
        assert len(splitter._rest) <= MAX


def test_what_follows_a_line_that_is_too_long_is_whole() -> None:
    splitter = LineSplitter(MAX)
    assert splitter.feed(b"x" * 9) == [None]
    assert splitter.feed(b"x" * 9) == []
    assert splitter.feed(b"tail\nwhole\n") == [b"whole"]
