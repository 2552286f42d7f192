"""The links of a device, and which of them carries us: plain values and one decision, no I/O.

The kernel's own route to the hub decides (several default routes by metric, rules, both families): what it
would take is what the courier's bytes take. It keeps a default route whose interface has lost its carrier,
though, and would send into nothing while another link is up: then `detour` names the link to bind to.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from vafa.sync import netlink

LinkKind = Literal["sim", "wifi", "ethernet", "loopback", "other"]

# By the names the kernel, systemd and modem drivers give. usb*: an LTE stick, or a telephone shared by cable.
_NAMES: tuple[tuple[str, LinkKind], ...] = (
    ("wwan*", "sim"),
    ("wwp*", "sim"),
    ("wwx*", "sim"),
    ("ppp*", "sim"),
    ("rmnet*", "sim"),
    ("usb*", "sim"),
    ("wl*", "wifi"),
    ("ath*", "wifi"),
    ("en*", "ethernet"),
    ("eth*", "ethernet"),
    ("end*", "ethernet"),
    ("lan*", "ethernet"),
    ("lo", "loopback"),
)


class Link(msgspec.Struct, frozen=True):
    """One interface.

    state       up; no carrier: switched on, nothing at the other end; down: switched off, or gone
    changed_at  monotonic seconds of its last change; when the watch began where there was none
    was_up      it was up at some time since then: what is lost is worth a line, what never was is not
    metered     its bytes cost; `radio` LTE, 3G ... where a modem manager says so
    """

    index: int
    name: str
    kind: LinkKind
    state: netlink.LinkState
    changed_at: float
    was_up: bool = False
    metered: bool = False
    radio: str = ""


class Links(msgspec.Struct, frozen=True):
    """What the watch knows now.

    way         the interface the kernel would send to the hub by; '' when there is no route
    detour      the interface to bind to because `way` has no carrier and this one is up; '' as a rule
    changed_at  monotonic seconds since when we have, or have not, a way that is up
    fault       why nothing is known; '' when the watch works
    """

    links: tuple[Link, ...] = ()
    way: str = ""
    detour: str = ""
    changed_at: float = 0.0
    fault: str = ""

    @property
    def carrier(self) -> Link | None:
        """The link our bytes take now, None while there is none that is up."""
        name = self.detour or self.way
        found = next((link for link in self.links if link.name == name), None)
        return found if found is not None and found.state == "up" else None


class LinkNow(msgspec.Struct, frozen=True):
    """The link that carries us as the courier is told of it: `wwan0 sim`, and whether its bytes cost."""

    name: str = ""
    metered: bool = False


def kind_of(name: str) -> LinkKind:
    """What an interface is, by its name."""
    return next((kind for pattern, kind in _NAMES if fnmatchcase(name, pattern)), "other")


def detour(
    way: int, links: Sequence[Link], routes: Iterable[netlink.Route], addresses: Sequence[bytes]
) -> Link | None:
    """The link that is up and has a route to one of the addresses, where the kernel's `way` (an index, 0
    none) is not up. The longest prefix wins, then the least metric, as in the kernel."""
    up = {link.index: link for link in links if link.state == "up"}
    if way == 0 or way in up:
        return None
    found = [
        (-route.prefix_bits, route.metric, route.index)
        for route in routes
        if route.index in up and any(route.covers(address) for address in addresses)
    ]
    return up[min(found)[2]] if found else None


class Metering(msgspec.Struct, frozen=True):
    """Which links cost by volume.

    metered, unmetered  what the configuration says, names or patterns; they outweigh everything
    """

    metered: tuple[str, ...] = ()
    unmetered: tuple[str, ...] = ()

    def of(self, link: Link, told: Mapping[str, bool]) -> bool:
        """True when bytes over this link cost. `told`: NetworkManager's word of an interface; where there
        is none a SIM is metered and nothing else."""
        if any(fnmatchcase(link.name, pattern) for pattern in self.metered):
            return True
        if any(fnmatchcase(link.name, pattern) for pattern in self.unmetered):
            return False
        return told.get(link.name, link.kind == "sim")
