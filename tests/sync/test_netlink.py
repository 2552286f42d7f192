"""rtnetlink bytes to values: messages laid out here by hand, cut anywhere, and mixed with noise."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.sync import netlink
from vafa.sync.netlink import Done, LinkGone, LinkSeen, Moved, Route

IFNAME, OPERSTATE, CARRIER, LINKINFO = 3, 16, 33, 18
DST, OIF, PRIORITY, MULTIPATH, TABLE = 1, 4, 6, 9, 15
UP, LOWER_UP = 0x1, 0x10000


def attribute(kind: int, value: bytes) -> bytes:
    packed = struct.pack("=HH", 4 + len(value), kind) + value
    return packed.ljust((len(packed) + 3) & ~3, b"\0")


def message(kind: int, body: bytes, sequence: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def link(flags: int, *attributes: bytes, index: int = 3, kind: int = 16, family: int = 0) -> bytes:
    return message(kind, struct.pack("=BBHiII", family, 0, 1, index, flags, 0) + b"".join(attributes))


def route(
    *attributes: bytes, bits: int = 0, family: int = 2, table: int = 254, kind: int = 1, sequence: int = 0
) -> bytes:
    body = struct.pack("=BBBBBBBBI", family, bits, 0, 0, table, 3, 0, kind, 0) + b"".join(attributes)
    return message(24, body, sequence)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


NAME = attribute(IFNAME, b"wwan0\0")


@pytest.mark.parametrize(
    ("flags", "operational", "carrier", "state"),
    [
        (UP | LOWER_UP, 6, 1, "up"),
        (UP | LOWER_UP, 0, 1, "up"),  # a modem or ppp that never tells its operational state
        (UP, 2, 0, "no carrier"),
        (UP | LOWER_UP, 6, 0, "no carrier"),
        (UP | LOWER_UP, 5, 1, "no carrier"),  # dormant: Wi-Fi that has not authenticated
        (0, 2, 0, "down"),
        (LOWER_UP, 6, 1, "down"),
    ],
)
def test_a_link_is_up_only_when_it_is_on_has_a_carrier_and_works(
    flags: int, operational: int, carrier: int, state: str
) -> None:
    packed = link(
        flags, NAME, attribute(OPERSTATE, bytes([operational])), attribute(CARRIER, bytes([carrier]))
    )
    assert netlink.read(packed) == [LinkSeen(3, "wwan0", state)]  # type: ignore[arg-type]


def test_a_link_that_went_and_an_address_or_a_route_that_moved_are_told_apart() -> None:
    told = link(0, NAME, kind=17) + message(20, bytes(8)) + route(attribute(OIF, number(3)))
    assert netlink.read(told) == [LinkGone(3), Moved(), Moved()]


def test_what_a_bridge_says_of_its_port_is_not_the_port_s_own_state() -> None:
    assert netlink.read(link(0, NAME, kind=17, family=socket.AF_BRIDGE)) == []


def test_a_default_route_tells_its_interface_and_its_metric() -> None:
    packed = route(attribute(OIF, number(7)), attribute(PRIORITY, number(700)), sequence=5)
    assert netlink.read(packed, 5) == [Route(bytes(4), 0, 7, 700)]


def test_a_route_with_several_ways_is_one_for_each() -> None:
    hops = b"".join(struct.pack("=HBBi", 8, 0, 0, index) for index in (4, 5))
    packed = route(attribute(MULTIPATH, hops), sequence=5)
    assert [seen.index for seen in netlink.read(packed, 5) if isinstance(seen, Route)] == [4, 5]


@pytest.mark.parametrize(
    "packed",
    [
        route(attribute(OIF, number(1)), kind=7, sequence=5),  # unreachable
        route(attribute(OIF, number(1)), table=100, sequence=5),  # another table, of some rule
        route(attribute(OIF, number(1)), attribute(TABLE, number(1000)), table=252, sequence=5),
        route(attribute(OIF, number(1)), family=9, sequence=5),
        route(attribute(OIF, number(1)), sequence=6),  # the answer to another question
    ],
)
def test_a_route_that_leads_nowhere_or_is_not_ours_is_none(packed: bytes) -> None:
    assert netlink.read(packed, 5) == []


def test_the_way_the_kernel_chose_by_a_rule_s_own_table_counts() -> None:
    packed = route(attribute(DST, bytes(4)), attribute(OIF, number(6)), bits=32, table=100, sequence=5)
    assert netlink.read(packed, 5) == [Route(bytes(4), 32, 6, 0)]


def test_an_error_is_the_kernel_s_errno_and_an_end_is_an_end() -> None:
    assert netlink.read(message(2, struct.pack("=i", -101) + bytes(16))) == [Done(101)]
    assert netlink.read(message(3, bytes(4))) == [Done()]


@pytest.mark.parametrize(
    ("prefix", "bits", "address", "covers"),
    [
        ("192.0.2.0", 0, "203.0.113.9", True),
        ("203.0.113.0", 24, "203.0.113.9", True),
        ("203.0.112.0", 24, "203.0.113.9", False),
        ("::", 0, "203.0.113.9", False),
        ("2001:db8::", 32, "2001:db8:9::1", True),
    ],
)
def test_a_route_covers_the_addresses_of_its_prefix_and_family(
    prefix: str, bits: int, address: str, covers: bool
) -> None:
    def packed(text: str) -> bytes:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)

    assert Route(packed(prefix), bits, 1, 0).covers(packed(address)) == covers


WHOLE = link(UP | LOWER_UP, NAME, attribute(OPERSTATE, b"\x06")) + route(
    attribute(OIF, number(7)), sequence=5
)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40))
def test_bytes_cut_anywhere_or_followed_by_noise_raise_nothing(cut: int, noise: bytes) -> None:
    netlink.read(WHOLE[:cut] + noise)
    netlink.read(WHOLE[:cut] + noise, 5)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything(noise: bytes) -> None:
    for kind in (16, 17, 20, 24, 2, 3, 99):
        netlink.read(message(kind, noise))
        netlink.read(message(kind, noise, 5), 5)


@pytest.mark.parametrize("bits", [33, 255])
def test_a_route_with_more_bits_than_its_addresses_have_is_left_out(bits: int) -> None:
    packed = bytearray(route(attribute(OIF, number(1)), sequence=5))
    packed[17] = bits  # behind the header of 16 and the family
    assert netlink.read(bytes(packed), 5) == []


def test_an_interface_without_its_state_is_judged_by_its_flags() -> None:
    found = netlink.read(link(0x1_0001, attribute(16, b"")))
    assert [each.state for each in found if isinstance(each, LinkSeen)] == ["up"]
