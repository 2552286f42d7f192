"""What the kernel says of interfaces and routes: rtnetlink requests to bytes, answers and notices to values.

The layouts are those of linux/netlink.h, linux/rtnetlink.h and linux/if_link.h; every number is in the
machine's own byte order. Only what decides which interface carries us is read. `read` never raises: a message
that is cut short or does not add up is left out, for the watch asks for everything anew once in a while.
"""

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

# Message types and flags (linux/netlink.h, linux/rtnetlink.h)
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR = 20, 21
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
# What a watching socket is told of: links, and addresses and routes of both families.
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
# Interface flags (linux/if.h)
IFF_UP, IFF_LOWER_UP = 0x1, 0x1_0000
# Attributes
_IFLA_IFNAME, _IFLA_OPERSTATE, _IFLA_CARRIER = 3, 16, 33
_RTA_DST, _RTA_OIF, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 6, 9, 15
_UNICAST, _LOCAL = 1, 2  # the route types that lead somewhere
_MAIN_TABLE = 254
_OPER_UP = 6  # RFC 2863; e.g. a Wi-Fi that has not authenticated yet is dormant (5): it has no link
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BBHiII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NEXT_HOP = struct.Struct("=HBBi")
_U32, _I32 = struct.Struct("=I"), struct.Struct("=i")

LinkState = Literal["up", "no carrier", "down"]
FAMILIES = {4: 2, 16: 10}  # length of an address -> AF_INET, AF_INET6


class LinkSeen(msgspec.Struct, frozen=True):
    """An interface as the kernel has it now. state: up, no carrier, or down (switched off)."""

    index: int
    name: str
    state: LinkState


class LinkGone(msgspec.Struct, frozen=True):
    """An interface that is there no more: a pulled adapter, a ppp connection that ended."""

    index: int


class Route(msgspec.Struct, frozen=True):
    """A route of the main table: what begins with `prefix_bits` of `prefix` goes out by interface `index`."""

    prefix: bytes
    prefix_bits: int
    index: int
    metric: int

    def covers(self, address: bytes) -> bool:
        """True when this route leads to an address of its own family."""
        if len(address) != len(self.prefix):
            return False
        beyond = len(address) * 8 - self.prefix_bits
        return int.from_bytes(address, "big") >> beyond == int.from_bytes(self.prefix, "big") >> beyond


class Moved(msgspec.Struct, frozen=True):
    """An address or a route came or went: the way to the hub must be looked up again."""


class Done(msgspec.Struct, frozen=True):
    """The end of an answer. `error` is the kernel's errno, 0 when it is a full answer."""

    error: int = 0


Seen = LinkSeen | LinkGone | Route | Moved | Done


def ask_links(sequence: int) -> bytes:
    """The request for every interface."""
    return _message(RTM_GETLINK, NLM_F_DUMP, sequence, _LINK.pack(0, 0, 0, 0, 0, 0))


def ask_routes(sequence: int) -> bytes:
    """The request for the whole of every routing table, both families."""
    return _message(RTM_GETROUTE, NLM_F_DUMP, sequence, _ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))


def ask_way(sequence: int, address: bytes) -> bytes:
    """The request for the one route that the kernel itself would take to an address, rules and all."""
    body = _ROUTE.pack(FAMILIES[len(address)], len(address) * 8, 0, 0, 0, 0, 0, 0, 0)
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address), _RTA_DST) + address
    return _message(RTM_GETROUTE, 0, sequence, body + attribute)


def is_dump(request: bytes) -> bool:
    """True when the answer to this request has many parts, the last of which says so."""
    return bool(_HEADER.unpack_from(request)[2] & NLM_F_DUMP)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, sequence, 0) + body


def read(datagram: bytes, sequence: int | None = None) -> list[Seen]:
    """What one datagram says; only what answers the request `sequence`, where one is named."""
    found: list[Seen] = []
    for kind, number, body in _messages(datagram):
        if sequence is not None and number != sequence:
            continue
        found += _seen(kind, body, answering=sequence is not None)
    return found


def _messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence number, body) of each whole message."""
    place = 0
    while len(datagram) - place >= _HEADER.size:
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, place)
        if not _HEADER.size <= length <= len(datagram) - place:
            return
        yield kind, sequence, datagram[place + _HEADER.size : place + length]
        place += (length + 3) & ~3


def _seen(kind: int, body: bytes, *, answering: bool) -> Iterator[Seen]:
    if kind == NLMSG_DONE:
        yield Done()
    elif kind == NLMSG_ERROR and len(body) >= 4:
        yield Done(-_I32.unpack_from(body)[0])
    elif kind in (RTM_NEWLINK, RTM_DELLINK) and len(body) >= _LINK.size:
        yield from _link(kind, body)
    elif kind in (RTM_NEWADDR, RTM_DELADDR):
        yield Moved()
    elif kind in (RTM_NEWROUTE, RTM_DELROUTE) and len(body) >= _ROUTE.size:
        if answering:
            yield from _routes(body)
        else:
            yield Moved()


def _link(kind: int, body: bytes) -> Iterator[Seen]:
    family, _, _, index, flags, _ = _LINK.unpack_from(body)
    if family:  # a bridge's word of its port (AF_BRIDGE): says nothing of the interface itself
        return
    if kind == RTM_DELLINK:
        yield LinkGone(index)
        return
    attributes = dict(_attributes(body[_LINK.size :]))
    name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "replace")
    operational = int.from_bytes(attributes.get(_IFLA_OPERSTATE, b"")[:1], "big")
    carrier = bool(flags & IFF_LOWER_UP) and attributes.get(_IFLA_CARRIER, b"\1") != b"\0"
    # "unknown" (0) is how a modem's or a loopback interface that never tells is up all its life.
    works = carrier and operational in (0, _OPER_UP)
    yield LinkSeen(index, name, "down" if not flags & IFF_UP else "up" if works else "no carrier")


def _routes(body: bytes) -> Iterator[Route]:
    """The way or ways of one route message; none where it leads nowhere, or is of another table's."""
    family, bits, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    attributes = dict(_attributes(body[_ROUTE.size :]))
    length = {number: size for size, number in FAMILIES.items()}.get(family, 0)
    if _RTA_TABLE in attributes and len(attributes[_RTA_TABLE]) == 4:
        (table,) = _U32.unpack(attributes[_RTA_TABLE])
    looked_up = bits == length * 8
    if bits > length * 8:
        return
    if not length or kind not in (_UNICAST, _LOCAL) or not (table == _MAIN_TABLE or looked_up):
        return
    prefix = attributes.get(_RTA_DST, b"").ljust(length, b"\0")[:length]
    metric = _number(attributes.get(_RTA_PRIORITY, b""))
    outs = [_number(attributes[_RTA_OIF])] if _RTA_OIF in attributes else []
    outs += _next_hops(attributes.get(_RTA_MULTIPATH, b""))
    yield from (Route(prefix, bits, index, metric) for index in outs)


def _next_hops(packed: bytes) -> list[int]:
    """The interfaces that several ways of one route share."""
    found, place = [], 0
    while len(packed) - place >= _NEXT_HOP.size:
        length, _, _, index = _NEXT_HOP.unpack_from(packed, place)
        if length < _NEXT_HOP.size:
            break
        found.append(index)
        place += (length + 3) & ~3
    return found


def _number(packed: bytes) -> int:
    return int(_U32.unpack(packed)[0]) if len(packed) == 4 else 0


def _attributes(packed: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while len(packed) - place >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(packed, place)
        if not _ATTRIBUTE.size <= length <= len(packed) - place:
            return
        yield kind & 0x3FFF, packed[place + _ATTRIBUTE.size : place + length]  # without the nested bit
        place += (length + 3) & ~3
