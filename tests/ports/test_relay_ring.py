"""The ring keeps what fits, numbered without a hole but where it dropped, and never changes what was told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.ports import relay_wire as wire
from vafa.ports.relay_ring import RECORD_BYTES_MAX, RECORD_COST_BYTES, RING_BYTES_MAX, Ring

DIRECTIONS = (wire.TO_TERMINAL, wire.TO_REGISTER)
CROSSED = st.lists(st.tuples(st.sampled_from(DIRECTIONS), st.binary(min_size=1, max_size=50)), max_size=60)


def all_of(ring: Ring, after: int = 0) -> list[tuple[int, bytes, bytes]]:
    found = []
    while (record := ring.after(after)) is not None:
        after = record.number
        found.append((record.number, record.kind, bytes(record.data)))
    return found


@given(crossed=CROSSED)
def test_what_was_added_comes_out_in_order_with_numbers_from_one(crossed: list[tuple[bytes, bytes]]) -> None:
    ring = Ring()
    for kind, data in crossed:
        ring.add(kind, data)
    found = all_of(ring)
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    for direction in DIRECTIONS:
        assert b"".join(d for _, k, d in found if k == direction) == b"".join(
            d for k, d in crossed if k == direction
        )


@given(crossed=CROSSED, at=st.integers(0, 60))
def test_a_record_that_was_handed_out_never_changes(crossed: list[tuple[bytes, bytes]], at: int) -> None:
    ring = Ring()
    for kind, data in crossed[:at]:
        ring.add(kind, data)
    first = all_of(ring)
    for kind, data in crossed[at:]:
        ring.add(kind, data)
    assert all_of(ring)[: len(first)] == first


@given(crossed=CROSSED)
def test_a_full_ring_drops_the_oldest_and_keeps_the_newest(crossed: list[tuple[bytes, bytes]]) -> None:
    ring = Ring(bytes_max=2 * RECORD_COST_BYTES + 150)
    for number, (kind, data) in enumerate(crossed):
        ring.add(kind, data)
        assert ring.size <= 2 * RECORD_COST_BYTES + 150
        if number % 7 == 3:
            all_of(ring)
    numbers = [number for number, _, _ in all_of(ring)]
    assert numbers == list(range(ring.newest - len(numbers) + 1, ring.newest + 1))
    assert bool(numbers) == bool(crossed)


def test_a_line_that_comes_byte_by_byte_fills_the_ring_with_bytes() -> None:
    ring = Ring()
    for _ in range(200_000):
        ring.add(wire.TO_REGISTER, b"x")
    assert sum(len(data) for _, _, data in all_of(ring)) == 200_000
    assert ring.size < RING_BYTES_MAX
    assert max(len(data) for _, _, data in all_of(ring)) == RECORD_BYTES_MAX


def test_an_acknowledged_record_is_gone_and_one_never_handed_out_cannot_be() -> None:
    ring = Ring()
    for direction in (*DIRECTIONS, *DIRECTIONS):
        ring.add(direction, b"x")
    assert ring.after(0) is not None
    ring.acknowledge(99)
    assert (ring.acked, ring.unread) == (1, True)
    all_of(ring)
    ring.acknowledge(4)
    assert (ring.acked, ring.unread, ring.size) == (4, False, 0)
    ring.add(wire.TO_REGISTER, b"y")
    assert all_of(ring, 4) == [(5, wire.TO_REGISTER, b"y")]


def test_a_cut_is_a_record_of_its_own() -> None:
    ring = Ring()
    for kind, data in ((wire.TO_REGISTER, b"a"), (wire.CUT, b""), (wire.CUT, b""), (wire.TO_REGISTER, b"b")):
        ring.add(kind, data)
    assert [kind for _, kind, _ in all_of(ring)] == [wire.TO_REGISTER, wire.CUT, wire.CUT, wire.TO_REGISTER]


@given(data=st.data())
def test_messages_survive_any_split(data: st.DataObject) -> None:
    sent = [(wire.ACK, 7, b""), (wire.TO_REGISTER, 2**40, b"\0bytes"), (wire.STATE, 0, b"open\n")]
    whole = b"".join(wire.encode(*message) for message in sent)
    splitter, heard, at = wire.Splitter(), [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, len(whole)))
        heard += splitter.feed(whole[at : at + size])
        at += size
    assert [tuple(message) for message in heard] == sent
    assert "bytes" not in repr(heard[1]).replace("6 bytes", "")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"A" + b"\xff" * 12])
def test_something_else_is_not_taken_for_the_relay(garbage: bytes) -> None:
    with pytest.raises(wire.NotTheRelay):
        wire.Splitter().feed(garbage)
