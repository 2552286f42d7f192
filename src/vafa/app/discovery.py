"""Which terminals announce themselves in the shop's network, and how that fits the configuration."""

import time
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from vafa.app.config import Config, Terminal
from vafa.app.findings import Finding, Patient
from vafa.codecs.sadad_announce import ANNOUNCE_PORTS, Announcement, read_announcement
from vafa.codecs.sadad_fields import Malformed
from vafa.model.errors import PortError
from vafa.ports.datagrams import Datagrams, listen_where_allowed
from vafa.ports.link import TCP_PREFIX

TERMINALS_MAX = 200  # anybody can announce: beyond this it is no shop
_READ_S = 0.25


class Found(Struct, frozen=True):
    """A terminal that announced itself. `sender`: the address the datagram really came from.

    configured  '' no terminal of config.toml has this id; else `same` or `other` address there
    """

    terminal_id: str
    address: str
    name: str
    merchant_id: str
    sender: str
    protocol: str = "sadad"
    configured: str = ""


class Heard(Struct, frozen=True):
    """What came while listening. `garbage`: other datagrams; `deaf`: why some port was not listened on."""

    terminals: tuple[Found, ...]
    garbage: int = 0
    ports: tuple[int, ...] = ()
    deaf: tuple[str, ...] = ()


def hear(seconds: float, config: Config | None, stop: Callable[[], bool] = lambda: False) -> Heard:
    """Listen for announcements. PortError when no port of them can be had."""
    line, refused = listen_where_allowed(*ANNOUNCE_PORTS)
    try:
        announced, garbage = _collect(line, seconds, stop)
        ports = line.ports
    finally:
        line.close()
    found = tuple(_found(each, sender, config) for each, sender in announced)
    return Heard(found, garbage, ports, tuple(f"{error}; {error.fix}" for error in refused))


def _collect(
    line: Datagrams, seconds: float, stop: Callable[[], bool]
) -> tuple[list[tuple[Announcement, str]], int]:
    """Each announcement once, by terminal and address, and how many datagrams were none."""
    announced: dict[tuple[str, str], tuple[Announcement, str]] = {}
    garbage = 0
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0 and not stop():
        for datagram in line.read(min(left_s, _READ_S)):
            seen = read_announcement(datagram.data)
            if isinstance(seen, Malformed):
                garbage += 1
            elif len(announced) < TERMINALS_MAX:
                announced.setdefault((seen.terminal_id, seen.address), (seen, datagram.sender))
    return sorted(announced.values(), key=lambda each: (each[0].terminal_id, each[0].address)), garbage


def _found(seen: Announcement, sender: str, config: Config | None) -> Found:
    ours = next((t for t in config.terminal if t.id == seen.terminal_id), None) if config else None
    configured = "" if ours is None else "same" if ours.address == TCP_PREFIX + seen.address else "other"
    return Found(
        seen.terminal_id, seen.address, seen.name, seen.merchant_id, sender, configured=configured
    )  # fmt: skip


def look(patient: Patient) -> Iterator[Finding]:
    """`vafa doctor`: does a terminal announce itself at another address than configured?"""
    yield from _of_notifications(patient)
    networked = [t for t in patient.config.terminal if t.address.startswith(TCP_PREFIX) and t.mode != "local"]
    if not networked:
        yield Finding(
            "ok", "discovery", "no terminal is configured on the network; vafa terminal find lists any"
        )
        return
    patient.say(f"announcements of terminals, {patient.listen_s:g} s")
    try:
        heard = hear(patient.listen_s, patient.config)
    except PortError as error:
        yield Finding("ok", "discovery", f"not listened: {error}")
        return
    trouble = list(_moved(networked, heard.terminals))
    yield from trouble
    if not trouble:
        count = len(heard.terminals)
        words = (
            f"{count} terminal{'' if count == 1 else 's'} heard" if count else "no terminal announces itself"
        )
        yield Finding("ok", "discovery", f"{words} in {patient.listen_s:g} s")


def _of_notifications(patient: Patient) -> Iterator[Finding]:
    """How often the bell was rung, where it is listened to at all."""
    seen = patient.status.notifications if patient.status is not None else None
    if seen is not None and not seen.trouble:
        counts = f"{seen.heard} heard, {seen.strangers} of other terminals, {seen.garbage} garbage"
        yield Finding("ok", "discovery", f"notifications (unproven) on UDP port {seen.port}: {counts}")


def _moved(networked: Iterable[Terminal], heard: tuple[Found, ...]) -> Iterator[Finding]:
    """Terminals heard at another address only: a router gave them a new one."""
    for terminal in networked:
        places = [each.address for each in heard if each.terminal_id == terminal.id]
        if places and terminal.address.removeprefix(TCP_PREFIX) not in places:
            yield Finding(
                "warn", "discovery", f"{terminal.id} announces itself at {places[0]}",
                f"config.toml says {terminal.address}: it got another address, or this is a fake",
                f'check its menu; then address = "tcp:{places[0]}", and have the router keep it', "TRM-022",
            )  # fmt: skip
