"""`vafa doctor`, the way to the hub: which link carries us, does the hub's name lead anywhere?

Looks for itself, as the daemon's watch does: it costs nothing, sends nothing, and tells with the daemon down
too. On a device that is not enrolled there is nothing to look at.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

from vafa.app.findings import Finding, Patient
from vafa.sync.enrolment import Enrolment, EnrolmentFault, load
from vafa.sync.link_watch import LinkWatch
from vafa.sync.links import Link, Links, Metering
from vafa.sync.network_manager import told

NAME = "link"
RESOLVED_WITHIN_S = 6.0  # longer than a resolver's own second try
_SHOWN = ("sim", "wifi", "ethernet")


def look(patient: Patient) -> Iterator[Finding]:
    """One finding: the link that carries us, or why none does."""
    enrolled = enrolment_of(patient)
    if enrolled is None:
        yield Finding("ok", NAME, "no hub: nothing is sent anywhere")
        return
    addresses = addresses_of(enrolled)
    yield _judged(links_toward(patient, addresses), enrolled, found=bool(addresses))


def enrolment_of(patient: Patient) -> Enrolment | None:
    """The enrolment, None where there is none or it cannot be read (which `status` tells)."""
    try:
        return load(patient.config.ledger_directory)
    except EnrolmentFault:
        return None


def addresses_of(enrolled: Enrolment) -> tuple[str, ...]:
    """The hub's addresses; () where its name is not found in time. A resolver that hangs is left behind."""
    host = name_and_port(enrolled)[0]
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        found: list[str] = []
    asking = threading.Thread(target=_resolve, args=(host, found), daemon=True)
    asking.start()
    asking.join(RESOLVED_WITHIN_S)
    return tuple(dict.fromkeys(found))


def name_and_port(enrolled: Enrolment) -> tuple[str, int]:
    """Of the hub's address."""
    host, _, port = enrolled.host.rpartition(":")
    if host and port.isdigit():
        return host.removeprefix("[").removesuffix("]"), int(port)
    return enrolled.host.removeprefix("[").removesuffix("]"), 443


def links_toward(patient: Patient, addresses: tuple[str, ...]) -> Links:
    """What the kernel says now of the way to these addresses. LinkWatchError."""
    wanted = patient.config.links
    now = time.monotonic()
    watch = LinkWatch(lambda: None, now, Metering(wanted.metered, wanted.unmetered), told)
    try:
        watch.toward(addresses)
        watch.step(now)
        return watch.links()
    finally:
        watch.close()


def _resolve(host: str, found: list[str]) -> None:
    try:
        told_of = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return
    found.extend(str(each[4][0]) for each in told_of)


def _judged(links: Links, enrolled: Enrolment, *, found: bool) -> Finding:
    carrier = links.carrier
    states = ", ".join(f"{link.name} {link.state}" for link in links.links if link.kind in _SHOWN)
    if carrier is None:
        up = [link for link in links.links if link.state == "up" and link.kind in _SHOWN]
        if up:
            return Finding(
                "warn", NAME, f"{up[0].name} is up, and no route leads to the hub by it",
                "it got no address (DHCP), or no default route",
                "ip addr; ip route; then NetworkManager or whatever sets this network up", "LINK-003",
            )  # fmt: skip
        return Finding(
            "warn", NAME, f"no link is up: {states or 'there is no SIM, Wi-Fi or cable'}",
            "points are kept on this device and sent when a link comes back",
            "SIM and data plan, Wi-Fi password, cable", "LINK-002",
        )  # fmt: skip
    if not found:
        host = name_and_port(enrolled)[0]
        return Finding(
            "warn", NAME, f"{_named(carrier)}, but the name {host} is not found",
            "the name server does not answer, or does not know it", "resolvectl query " + host, "LINK-005",
        )  # fmt: skip
    if links.detour:
        return Finding(
            "warn", NAME, f"the route to the hub goes by {links.way}, which has no carrier",
            f"it is sent by {links.detour} instead; other programs are cut off",
            "ip route; a network manager takes such a route away", "LINK-001",
        )  # fmt: skip
    return Finding("ok", NAME, f"{_named(carrier)} ({states})" if states else _named(carrier))


def _named(link: Link) -> str:
    radio = f" {link.radio}" if link.radio else ""
    return f"{link.name}{radio} carries us{', metered' if link.metered else ''}"
