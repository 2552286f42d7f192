"""Packed rows: byte for byte the same again, small, and bounded whatever comes."""

from fractions import Fraction
from random import Random
from statistics import fmean
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vafa.cli.measure.busy_shop import shop_rows
from vafa.cli.measure.packing import ALONE
from vafa.model import events
from vafa.model.errors import Malformed
from vafa.model.events import Kind
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.remembering import after_award
from vafa.model.standing import Stamp, Standing
from vafa.model.standing import pack as pack_standing
from vafa.wire import limits
from vafa.wire.award_points import modelled
from vafa.wire.compress import Form, block, compress, unblock, varint
from vafa.wire.rows import WireRow, pack, streams, unpack

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
    return events.encode(draw(ruled(event)) if draw(st.booleans()) else event)


NAMES = st.sampled_from(["", "cup", "gold", "x" * 120])
PAIRS = st.lists(st.tuples(NAMES, st.integers(-3, 2**40)), max_size=3).map(tuple)
STANDING = st.one_of(
    st.sampled_from([b"", b"\xc0", b"\x91\x00", b"\xc1"]),
    st.binary(max_size=20),
    st.builds(
        lambda first, last, day, stamps: pack_standing(Standing(first, last, day, (day, 7), stamps)),
        NATURAL, NATURAL, st.integers(0, 800_000),
        st.lists(st.builds(Stamp, NAMES, NATURAL, NATURAL), max_size=2).map(tuple),
    ),
)  # fmt: skip


@st.composite
def ruled(draw: st.DrawFn, plain: events.Award) -> events.Award:
    """With the fields that rules add: what they would be, or any nonsense."""
    fixed, clipped = draw(
        st.sampled_from([(0, ()), (7, ()), (5, ((1, 3, 2), (2, 5, 1))), (-4, ()), (1, ((1, 1, 0),))])
    )
    extra = Fraction(fixed) - sum(Fraction(num, den or 1) for _, num, den in clipped)
    if draw(st.booleans()) and extra + Fraction(*plain.contribution) >= 0:
        whole = extra + Fraction(*plain.contribution)
        points = int(whole + Fraction(*plain.carry))
        told = (whole.numerator, whole.denominator)
        plain = msgspec.structs.replace(plain, contribution=told, points=points)
    asked_at = events.instant_of_rules(plain.paid, 0)
    return msgspec.structs.replace(
        plain,
        at=draw(st.one_of(st.just(asked_at), NATURAL, st.integers(-(2**62), 2**62))),
        less=draw(st.sampled_from([(), ((2, 500),)])),
        fixed=fixed,
        clipped=clipped,
        available_at=draw(st.sampled_from([0, asked_at + 86_400, 1_810_931_400])),
        expires_at=draw(st.one_of(st.sampled_from([0, 1_810_931_400, 1_810_931_401]), NATURAL)),
        visits=draw(st.integers(0, 5) | NATURAL),
        tier=draw(NAMES),
        standing=draw(STANDING),
        day=draw(st.sampled_from([0, 739_000, 739_001])),
        stamps=draw(PAIRS),
        granted=draw(PAIRS),
        counted=draw(
            st.none() | st.builds(events.Counted, NATURAL, NATURAL, st.integers(-9, 10**9), NATURAL)
        ),
        budget=draw(st.none() | FRACTION),
        offers=draw(st.lists(TOKENS, max_size=2).map(tuple)),
        beside=draw(st.integers(-9, 10**9)),
        lapsing=draw(st.sampled_from([(0, 0), (30, 1_810_931_400)])),
        told=draw(st.sampled_from([b"", b"", b"an offer"])),
    )


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
    for form in (b"", *(bytes([form]) for form in range(2, 7))):
        try:
            unpack(form + data)
        except Malformed:
            continue


@given(raw=st.binary(max_size=60), plain=st.binary(max_size=200))
@settings(max_examples=1000)
def test_any_columns_are_rows_or_malformed(raw: bytes, plain: bytes) -> None:
    """Past the compression, where a hand-made payload would aim."""
    for form in (Form.ROWS_1, Form.ROWS_2, Form.ROWS_3_WHOLE):
        try:
            unpack(bytes([form, len(raw)]) + raw + compress(form, plain))
        except Malformed:
            continue


@given(
    content=st.lists(st.tuples(st.just(int(Kind.AWARD)), awards()), min_size=1, max_size=4),
    place=st.integers(0, 10_000),
    change=st.integers(1, 255),
    in_raw=st.booleans(),
)
@settings(max_examples=1000)
def test_a_changed_byte_of_an_awards_columns_gives_rows_or_malformed(
    content: list[tuple[int, bytes]],
    place: int,
    change: int,
    in_raw: bool,
) -> None:
    """Past the compression again, close to what is really sent."""
    raw, plain = map(bytearray, streams(rows_of(content, [1_767_000_000_000] * 4)))
    changed = raw if in_raw and raw else plain
    changed[place % len(changed)] ^= change
    packed = varint(len(raw)) + bytes(raw) + compress(Form.ROWS_3_WHOLE, bytes(plain))
    try:
        unpack(bytes([Form.ROWS_3_WHOLE]) + packed)
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


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("dictionary-1.bin", "c5dcbe735cfe9b0bdc4c12e44af1310c"),
        ("dictionary-2.bin", "1d9decda511c26fef37baf9cb5af6dd2"),
        ("dictionary-3.bin", "627577090976aab10359a23a92319382"),
    ],
)
def test_a_dictionary_is_the_one_that_shipped(name: str, digest: str) -> None:
    """What was packed with it must unpack for ever: a better one is another file and another form."""
    import pkgutil
    from hashlib import blake2b

    shipped = pkgutil.get_data("vafa.wire", name)
    assert shipped is not None
    assert blake2b(shipped, digest_size=16).hexdigest() == digest


def shop_of_before() -> list[WireRow]:
    """Awards, one of them with rules, an enrolment and a row of an unknown kind."""
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
    return rows_of(
        [*bodies, (13, events.encode(later)), (13, events.encode(grown)), (99, b"\x92\x01\xa1y")],
        [1_767_000_000_000] * 5,
        41,
    )


def test_a_payload_of_the_first_form_unpacks_as_it_did() -> None:
    packed = bytes.fromhex(
        "024046eafe87c9756d6d6c6c6c6c6c6c6cacadadadadadadad0d0e0e0e0e0e0e0e4e43642d03000cc68ffee88f5e1004"
        "281af99b4265311758900700067709b8a20d81010013430a28d8e250d081d8b275c63570bf5901f2241f1041076a6072"
        "afe2551c89cb41085d747747725dd7500c0afc25d8d34073f9ecdb57252fb9b7e9a5d570dd3eefbc3b1302"
    )
    assert unpack(packed) == shop_of_before()


def test_a_payload_of_the_newest_form_is_what_it_always_was() -> None:
    before = bytes.fromhex(
        "044646eafe87c9756d6d6c6c6c6c6c6c6cacadadadadadadad0d0e0e0e0e0e0e0e0e91b54c0080f11cfdd11fbd200868"
        "e46f0a95167301f201000030f091540a10667097802bda00b3420923d8e2a88a45b0057737ed058fa92c35fc331c4964"
        "80031778016a86ef852f9929705d979308fce6c56a3e042ce7ac05bda1d26ab9f87e327e1020ba5d1b"
    )
    rules = bytes.fromhex(
        "04e40186eafe87c95555555d5b1b1b1b1b1b1b1b1b6b6b6b6b6b6b6b6b838383838383838333332b936b81816931332b"
        "936b81896931332b936b81916931332b936b81996931332b936b81a16931332b936b81a96931332b936b81b16931332b"
        "936b81b96931332b936b81c16931332b936b81c96931332b936b89816931332b936b89896941642d13555515c6d3eff7"
        "fbfd7ebfdfeff7fb0200007102e204c40988131027204e409c8038017102e204c449237f53a8248aa2288aa2288a22f9"
        "0088a22856cc2f10ed1444bb03d12ec0c24c1488032ccc30b803ef9d3b78efdcc17be70ede3b77b3c5151f7ea1722186"
        "2432c0810bbc400b0a4e5e6032a382252ca04e2ab07101752596a0001714969b00d5282d2854c1c18c1228513f82ca72"
        "a4b780628b6fa7e6053b352f98a2e6d407b725535dc618dff1cc815747aec8070526fc6077e91e1dee78eab1a6c30d86"
        "f89e501bbbabb8e9ebf5154155e09fced32b0154ba2c355b5f94d65373b4ee113014d2a595a1379845bd03fe38d86dc9"
        "31494d2caa87f475d3c061eae3d54e23174d4c02"
    )
    ruled = [each for each in shop_of_before() if each.kind == Kind.AWARD]
    for payload, rows in ((before, shop_of_before()), (rules, month_of_rules(ruled[0]))):
        assert pack(rows) == payload
        assert unpack(payload) == rows


def test_a_payload_of_the_second_form_unpacks_as_it_did() -> None:
    """A month of rules that foretell each other, as packed when the form was made."""
    ruled = [each for each in shop_of_before() if each.kind == Kind.AWARD]
    assert (
        unpack(
            bytes.fromhex(
                "034746eafe87c9756d6d6c6c6c6c6c6c6cacadadadadadadad0d0e0e0e0e0e0e0e0e91b54c0080f11cfdd11fbd200868"
                "e46f0a95167301f201000030f091540ad1900933b84bc0156d7e00e3020a23a8e256d08ba8a233be2d70bf4531b97348"
                "3e0608213890811644c11c98e7a0bbbb05344d2be2010afce71abfa7e93b8afc3aad38d605db2bb8e8e7bebc85bd837f"
                "0206"
            )
        )
        == shop_of_before()
    )
    assert unpack(
        bytes.fromhex(
            "03de0186eafe87c95555555d5b1b1b1b1b1b1b1b1b6b6b6b6b6b6b6b6b838383838383838333332b936b81816931332b"
            "936b81896931332b936b81916931332b936b81996931332b936b81a16931332b936b81a96931332b936b81b16931332b"
            "936b81b96931332b936b81c16931332b936b81c96931332b936b89816931332b936b89896941642d13555515c6d3eff7"
            "fbfd7ebfdfeff7fb0200007102e204c40988131027204e409c8038017102e204c449237f53a8248aa2288aa2288a22f9"
            "0088a2288a8897f5771cea313858c1351a833bf0deb983f7ce1dbc77eee0bd7307e0040064060c020f04016f08000102"
            "0301080102050407060300e1900b89a40b81a40b81a0a185a1030f93920f0191d401009205ce6ab13b80299594ce6952"
            "47c1000b46b8927d019192a3637570019225109490922216940817261e1b95a4676f6c642825042600904e0927fcd63b"
            "96b855922e153e3160a80523f37a8461e29224227052358cdc845533260520ae7826fe09878922e4793408afc3a3902a"
            "1a0b9d287a6fc116caee8812f86a6cef0c581087acd9611b1f"
        )
    ) == month_of_rules(ruled[0])


def month_of_rules(row: WireRow) -> list[WireRow]:
    """One member's twelve purchases under a programme with every rule."""
    first = events.decode(row.kind, row.body)
    assert isinstance(first, events.Award)
    rows, standing, visits, random = [], b"", 0, Random(3)  # noqa: S311 - invented sales
    for number in range(12):
        at = 1_767_000_001 + number * 40_000
        key = PaymentKey(Scheme.RRN, "40217736", f"{320062616116 + 17 * number}")
        paid = msgspec.structs.replace(first.paid, key=key, paid_at=at)
        award = msgspec.structs.replace(
            first, paid=paid, at=at, fixed=number % 3, contribution=(125 + number % 3, 1),
            points=125 + number % 3, available_at=at + 86_400,
            expires_at=1_782_000_000 + number // 5 * 86_400,
            visits=visits, tier="gold" if number > 6 else "", standing=standing, day=739_000 + number // 2,
            stamps=(("cup", 1),) if number % 2 else (), counted=events.Counted(11, 1404, 1_250_000, 1403),
            budget=(random.randrange(50), 1), offers=(b"offer-%02d-" % number,), lapsing=(5, 1_790_000_000),
        )  # fmt: skip
        rows.append(WireRow(1, row.seq + number, row.at + number, Kind.AWARD, events.encode(award)))
        standing, visits = after_award(standing, visits, award), visits + 1
    return rows


def test_what_rules_add_follows_from_the_awards_before() -> None:
    """The grocery's rules make an award's body a quarter longer, and cost nothing on the wire."""
    rows = [row for row in shop_rows(5, 400) if row.kind == Kind.AWARD]
    plain = [
        msgspec.structs.replace(row, body=events.encode(without_rules(row.kind, row.body))) for row in rows
    ]
    assert sum(len(row.body) for row in rows) > sum(len(row.body) for row in plain) * 1.2
    assert len(pack(rows)) < len(pack(plain)) + len(rows) // 2


def without_rules(kind: int, body: bytes) -> events.Award:
    award = events.decode(kind, body)
    assert isinstance(award, events.Award)
    return events.Award(*msgspec.structs.astuple(award)[:10])


@pytest.mark.parametrize("programme", ["plain", "grocery", "cafe", "restaurant"])
def test_every_award_of_the_example_programmes_goes_into_columns(programme: str) -> None:
    for row in shop_rows(6, 120, programme):
        assert row.kind != Kind.AWARD or modelled(row.kind, row.body) is not None


def test_an_award_whose_rate_is_no_number_of_the_columns_travels_as_it_is() -> None:
    """Few points for very much money: the rate's denominator is the amount's times the contribution's."""
    paid = events.Paid(
        PaymentKey(Scheme.RRN, "40217736", "320062616116", 0), 2**50 + 1, 0, None, 1, "", b"", "", ""
    )
    award = events.Award(paid, b"", "", b"p" * 8, paid.amount, (1, 2**40), (0, 1), 0, 0, 0)
    rows = rows_of([(Kind.AWARD, events.encode(award))], [0])
    assert modelled(rows[0].kind, rows[0].body) is None
    assert unpack(pack(rows)) == rows


def test_an_award_has_no_field_that_the_columns_do_not_know() -> None:
    """A field appended to Award is a column more: another form, or its awards travel as they are."""
    assert len(events.Award.__struct_fields__) == 28
    row = next(row for row in shop_rows(6, 120, "grocery") if row.kind == Kind.AWARD)
    award = events.decode(row.kind, row.body)
    assert isinstance(award, events.Award)
    assert modelled(row.kind, row.body) == award
    told = events.encode(msgspec.structs.replace(award, told=b"an offer"))
    assert modelled(row.kind, told) is None
    (unpacked,) = unpack(pack([msgspec.structs.replace(row, body=told)]))
    assert unpacked.body == told


@pytest.mark.parametrize(("name", "at_most"), [("sync_alone", 70.0), ("sync_100", 30.0), ("sync_1000", 25.0)])
def test_an_event_costs_no_more_than_the_goal(figures: dict[str, float], name: str, at_most: float) -> None:
    assert figures[name] <= at_most


@pytest.mark.parametrize("programme", ["plain", "grocery", "cafe", "restaurant"])
def test_a_lone_award_of_each_example_programme_costs_no_more_than_the_goal(programme: str) -> None:
    """The first awards of two shops, as `vafa bench` counts them."""
    shops = [shop_rows(seed, 400, programme) for seed in (11, 13)]
    awards = [row for rows in shops for row in [row for row in rows if row.kind == Kind.AWARD][:ALONE]]
    assert fmean(len(pack([row])) for row in awards) <= 70.0


def test_a_block_that_holds_more_than_zstd_allows_is_malformed() -> None:
    text = b"".join(b"%d" % number for number in range(15_000))
    form, packed = block(text)
    assert form is Form.ROWS_3
    assert unblock(form, packed) == text
    form, whole = block(text * 2)
    assert form is Form.ROWS_3_WHOLE
    assert unblock(form, whole) == text * 2
    for bad in (packed[:-9], b"\xff" * 40):
        with pytest.raises(Malformed):
            unblock(Form.ROWS_3, bad)


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    from vafa.cli.measure.packing import measure_packing

    return {each.name: each.value or 1e9 for each in measure_packing()}


def test_a_token_without_any_beginning_told_is_malformed() -> None:
    """Found by fuzzing: the first of no beginnings was taken."""
    with pytest.raises(Malformed, match="beginning"):
        unpack(bytes.fromhex("0206c4bbff617205120010000a02cc4e82ed2841f058"))
