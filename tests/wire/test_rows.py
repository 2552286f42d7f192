"""Packed rows: byte for byte the same again, small, and bounded whatever comes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vafa.model import events
from vafa.model.errors import Malformed
from vafa.model.events import Kind
from vafa.model.payment import PaymentKey, Scheme
from vafa.wire import limits
from vafa.wire.compress import Form, compress
from vafa.wire.rows import WireRow, pack, unpack

TOKENS = st.one_of(
    st.just(b""), st.sampled_from([b"\x01kk" + bytes([n]) * 8 for n in range(4)]), st.binary(max_size=11)
)
DIGITS = st.text("0123456789", max_size=20)
TEXTS = st.one_of(st.just(""), DIGITS, st.text(max_size=12))
NATURAL = st.one_of(st.integers(0, 300), st.integers(0, 2**53), st.integers(0, 10**6).map(lambda n: n * 1000))
FRACTION = st.tuples(st.integers(0, 10**16), st.integers(1, 10**9))


@st.composite
def awards(draw: st.DrawFn) -> bytes:
    """Any award's body: mostly one that a shop writes, sometimes nonsense that must survive all the same."""
    scheme = draw(st.sampled_from(list(Scheme)))
    key = PaymentKey(
        scheme, draw(st.sampled_from(["40217736", "C1", ""])), draw(TEXTS), draw(st.integers(0, 3))
    )
    amount, mask = draw(NATURAL), draw(st.one_of(st.sampled_from(["6219863864", "1234560000", ""]), TEXTS))
    paid = events.Paid(
        key, amount, draw(st.integers(0, 2)), draw(st.none() | st.integers(0, 2**40)),
        draw(st.integers(1, 4)), draw(TEXTS), draw(TOKENS), mask, draw(TEXTS),
    )  # fmt: skip
    eligible = draw(st.one_of(st.just(amount), NATURAL))
    carry, change = (
        draw(st.one_of(st.just((0, 1)), FRACTION)),
        draw(st.one_of(st.just((eligible, 10)), FRACTION)),
    )
    points = draw(st.one_of(st.just(eligible // 10), st.integers(-5, 2**40)))
    event = events.Award(
        paid, draw(TOKENS), draw(TEXTS), draw(st.sampled_from([b"p" * 8, b"q" * 8])), eligible, change, carry,
        points, draw(st.integers(-3, 2**53)), draw(st.integers(0, 3)),
    )  # fmt: skip
    if draw(st.booleans()):
        event = msgspec.structs.replace(
            event, at=draw(NATURAL), visits=draw(NATURAL), tier=draw(TEXTS), standing=draw(TOKENS),
            clipped=draw(st.sampled_from([(), ((1, 3, 2), (2, 5, 1))])),
            counted=draw(st.none() | st.builds(events.Counted, NATURAL, NATURAL, st.integers(-9, 10**9))),
        )  # fmt: skip
    return events.encode(event)


ROW = st.one_of(
    st.tuples(st.just(int(Kind.AWARD)), awards()),
    st.tuples(
        st.just(int(Kind.BIND)), st.builds(lambda m, t: events.encode(events.Bind(m, t, "x")), TOKENS, TOKENS)
    ),
    st.tuples(st.integers(0, 200), st.binary(max_size=40)),
)


def rows_of(kinds_and_bodies: list[tuple[int, bytes]], ats: list[int], seq: int = 1) -> list[WireRow]:
    return [
        WireRow(1 + n // 7, seq + n, at, kind, body)
        for n, ((kind, body), at) in enumerate(zip(kinds_and_bodies, ats, strict=False))
    ]


@given(
    content=st.lists(ROW, min_size=1, max_size=30),
    ats=st.lists(st.integers(-(2**41), 2**41), min_size=30, max_size=30),
    seq=st.integers(0, 2**40),
)
@settings(max_examples=300)
def test_rows_come_back_byte_for_byte_whatever_they_hold(
    content: list[tuple[int, bytes]], ats: list[int], seq: int
) -> None:
    rows = rows_of(content, ats, seq)
    assert unpack(pack(rows)) == rows


@given(
    content=st.lists(ROW, min_size=1, max_size=5),
    tills=st.binary(max_size=40),
    states=st.binary(min_size=32, max_size=32),
)
def test_whole_rows_carry_till_and_state(
    content: list[tuple[int, bytes]], tills: bytes, states: bytes
) -> None:
    rows = [
        WireRow(row.epoch, row.seq, row.at, row.kind, row.body, tills, states)
        for row in rows_of(content, [5, 4, 3, 2, 1])
    ]
    assert unpack(pack(rows, whole=True)) == rows


@given(data=st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_rows_or_malformed(data: bytes) -> None:
    for form in (b"", bytes([Form.ROWS_1])):
        try:
            unpack(form + data)
        except Malformed:
            continue


@given(raw=st.binary(max_size=60), plain=st.binary(max_size=200))
@settings(max_examples=1000)
def test_any_columns_are_rows_or_malformed(raw: bytes, plain: bytes) -> None:
    """Past the compression, where a hand-made payload would aim."""
    try:
        unpack(bytes([Form.ROWS_1, len(raw)]) + raw + compress(Form.ROWS_1, plain))
    except Malformed:
        return


@given(
    content=st.lists(ROW, min_size=1, max_size=8), place=st.integers(0, 10_000), change=st.integers(1, 255)
)
@settings(max_examples=500)
def test_a_changed_byte_gives_rows_or_malformed(
    content: list[tuple[int, bytes]], place: int, change: int
) -> None:
    payload = bytearray(pack(rows_of(content, [1, 2, 3, 4, 5, 6, 7, 8])))
    payload[place % len(payload)] ^= change
    try:
        unpack(bytes(payload))
    except Malformed:
        return


@given(content=st.lists(ROW, min_size=1, max_size=8), cut=st.integers(1, 10_000))
def test_a_payload_that_is_cut_off_is_malformed(content: list[tuple[int, bytes]], cut: int) -> None:
    payload = pack(rows_of(content, [1, 2, 3, 4, 5, 6, 7, 8]))
    with pytest.raises(Malformed):
        unpack(payload[: len(payload) - 1 - cut % len(payload)])


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    import tracemalloc

    import zstandard

    huge = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            19, window_log=20, write_content_size=False, format=zstandard.FORMAT_ZSTD1_MAGICLESS
        )
    ).compress(bytes(500_000_000))
    assert len(huge) < 100_000
    refused = {
        b"\x64": "another length",
        b"\xff\xff\xff\x7f": "promises",
        b"\xff\xff\xff\xff\xff\x7f": "promises",
    }
    tracemalloc.start()
    try:
        for promised, why in refused.items():
            with pytest.raises(Malformed, match=why):
                unpack(bytes([Form.ROWS_1, 0]) + promised + b"\xff" + huge)
            with pytest.raises(Malformed):
                unpack(bytes([Form.ROWS_1, 0]) + promised + huge)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_more_rows_than_the_limit_are_refused() -> None:
    rows = rows_of([(13, b"\x90")] * limits.ROWS_MAX, list(range(limits.ROWS_MAX)))
    assert len(unpack(pack(rows))) == limits.ROWS_MAX
    from vafa.wire.columns import Writer

    out = Writer()
    out.small((limits.ROWS_MAX + 1, 1, 0))
    out.long(1)
    out.long(0)
    with pytest.raises(Malformed, match="rows"):
        unpack(bytes([Form.ROWS_1, len(out.raw)]) + out.raw + compress(Form.ROWS_1, bytes(out.plain)))


def test_few_bytes_cannot_name_a_token_into_gigabytes() -> None:
    """A token of 64 bytes, named thousands of times by two bytes each."""
    from msgspec.msgpack import Ext

    from vafa.wire.bodies import parts_of
    from vafa.wire.columns import Writer
    from vafa.wire.tokens import TokensTold

    out = Writer()
    out.small((1_000, 1, 0))
    out.long(1)
    out.long(0)
    out.small([0] * 999)
    out.wide([0] * 999)
    out.small([200] * 1_000)
    TokensTold([b"t" * 64], out)
    first = msgspec.msgpack.encode([Ext(1, b"\0")] + [Ext(2, b"\0")] * 500)
    others = msgspec.msgpack.encode([Ext(2, b"\0")] * 500)
    for body in [first, *[others] * 999]:
        out.small((0,))
        out.blob(body)
    assert parts_of(first) is None, "a body with extension codes travels as it is"
    payload = bytes([Form.ROWS_1, len(out.raw)]) + out.raw + compress(Form.ROWS_1, bytes(out.plain))
    assert len(payload) < 20_000
    with pytest.raises(Malformed, match="bytes"):
        unpack(payload)


def test_nothing_personal_is_added_by_packing() -> None:
    """What is not in the rows is not in the payload: it is a function of them alone."""
    rows: Any = rows_of([(13, b"\x90"), (31, b"\x91\xa1x")], [1, 2])
    assert pack(rows) == pack(rows)


def test_the_dictionary_is_the_one_that_shipped() -> None:
    """What was packed with it must unpack for ever: a better one is another file and another form."""
    import pkgutil
    from hashlib import blake2b

    shipped = pkgutil.get_data("vafa.wire", "dictionary-1.bin")
    assert shipped is not None
    assert blake2b(shipped, digest_size=16).hexdigest() == "c5dcbe735cfe9b0bdc4c12e44af1310c"


def test_a_payload_of_before_unpacks_as_it_did() -> None:
    """Awards, an enrolment and a row of an unknown kind, as packed when the form was made."""
    paid = events.Paid(
        PaymentKey(Scheme.RRN, "40217736", "320062616116"), 1_250_000, 0, 1_767_000_001, 1, "000996",
        b"\x01kk" + b"c" * 8, "6219863864",
    )  # fmt: skip
    award = events.Award(paid, b"kkmmmmmmmm", "", b"p" * 8, 1_250_000, (125, 1), (3, 10), 125, 365, 2)
    later = msgspec.structs.replace(
        award,
        paid=msgspec.structs.replace(paid, key=PaymentKey(Scheme.RRN, "40217736", "320062616999")),
        balance=490,
    )
    grown = msgspec.structs.replace(later, visits=7, tier="gold")
    bodies = [(30, events.encode(events.Enrol(b"kkmmmmmmmm", "6789", "x"))), (13, events.encode(award))]
    rows = rows_of(
        [*bodies, (13, events.encode(later)), (13, events.encode(grown)), (99, b"\x92\x01\xa1y")],
        [1_767_000_000_000] * 5,
        41,
    )
    packed = bytes.fromhex(
        "024046eafe87c9756d6d6c6c6c6c6c6c6cacadadadadadadad0d0e0e0e0e0e0e0e4e43642d03000cc68ffee88f5e1004"
        "281af99b4265311758900700067709b8a20d81010013430a28d8e250d081d8b275c63570bf5901f2241f1041076a6072"
        "afe2551c89cb41085d747747725dd7500c0afc25d8d34073f9ecdb57252fb9b7e9a5d570dd3eefbc3b1302"
    )
    assert unpack(packed) == rows


@pytest.mark.parametrize(("name", "at_most"), [("sync_alone", 70.0), ("sync_100", 30.0), ("sync_1000", 25.0)])
def test_an_event_costs_no_more_than_the_goal(figures: dict[str, float], name: str, at_most: float) -> None:
    assert figures[name] <= at_most


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    from vafa.cli.measure.packing import measure_packing

    return {each.name: each.value or 1e9 for each in measure_packing()}
