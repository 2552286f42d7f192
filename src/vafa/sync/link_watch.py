"""Which interface carries us, up or down since when: heard from the kernel, without root or NetworkManager.

One rtnetlink socket is told of every change, another asks. `step(now)` takes what was told and looks up the
way to the hub again; when we come to have a way that is up, or another one, `wake` is called at once, so that
what waits is sent before anybody looks at a clock. Nothing is ever sent over a link to find out about it.
"""

import contextlib
import errno
import ipaddress
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec

from vafa.model.errors import VafaError
from vafa.sync import netlink
from vafa.sync.links import Link, Links, Metering, detour, kind_of
from vafa.sync.netlink import Done, LinkGone, LinkSeen, Moved, Route, Seen
from vafa.sync.network_manager import Told

ASK_ANEW_S = 60.0  # a notice that was lost is made up for by then
MANAGER_EVERY_S = 600.0  # managers are asked at each change of the way, and this often beside
ANSWER_S = 2.0  # the kernel answers at once; a request that is not answered is our bug or a filter's
DATAGRAM_BYTES = 65_536
HEARD_BYTES_MAX = 1 << 20  # what may wait to be heard; beyond it the kernel says so, and we ask for all anew
GONE_KEPT = 8  # links that vanished (each ppp connection may be a new one) of which status still tells
# Addresses nobody has (RFC 5737, RFC 3849): the way to them is the default route. Nothing is sent to them.
ANYWHERE = (ipaddress.ip_address("192.0.2.1").packed, ipaddress.ip_address("2001:db8::1").packed)


class LinkWatchError(VafaError):
    """The kernel does not tell of its links."""

    code = "LINK-004"


class LinkWatch:
    """One thread steps it; `links` and `toward` may be called from any.

    wake      called in the watch's thread when we come to have a way that is up, or another one than before
    managers  asks NetworkManager and ModemManager; may take seconds, so after the waking
    """

    def __init__(
        self,
        wake: Callable[[], None],
        now: float,
        metering: Metering,
        managers: Callable[[], Told] = Told,
    ) -> None:
        self._wake_courier = wake
        self._metering, self._managers = metering, managers
        self._told_by_managers = Told()
        self._ask_managers_at = now
        self._sequence = 0
        self._nudging = threading.Lock()  # its number may be another file's once it is closed
        self._links: dict[int, Link] = {}
        self._gone: dict[str, Link] = {}
        self._addresses: tuple[bytes, ...] = ANYWHERE
        self._ask_at = now
        self._known = Links(changed_at=now)
        try:
            with contextlib.ExitStack() as opened:
                self._asking = opened.enter_context(_netlink(0))
                self._told = opened.enter_context(_netlink(netlink.GROUPS))
                self._told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HEARD_BYTES_MAX)
                self._told.settimeout(0)
                self._nudge = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                opened.pop_all()
        except OSError as error:
            raise LinkWatchError(
                f"the kernel does not tell of its links ({error.strerror})",
                fix="the unit must allow AF_NETLINK: systemctl cat vafa | grep RestrictAddressFamilies",
            ) from error

    def links(self) -> Links:
        """What is known now; a value that never changes."""
        return self._known

    def toward(self, addresses: Sequence[str]) -> None:
        """The hub's addresses, in the order they are tried: the way to the first that has one is ours.

        Where none has one the default route counts: it may have other addresses, of the other family.
        """
        packed = (*(ipaddress.ip_address(each).packed for each in addresses), *ANYWHERE)
        if packed != self._addresses:
            self._addresses = packed
            self.nudge()

    def nudge(self) -> None:
        """Ends a `wait` at once, and has everything asked anew. From any thread."""
        self._ask_at = float("-inf")
        with self._nudging:
            if self._nudge >= 0:
                os.eventfd_write(self._nudge, 1)

    def wait(self, timeout_s: float) -> None:
        """Until the kernel tells something, somebody nudges, or the time is over."""
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        poll.register(self._nudge, select.POLLIN)
        if self._nudge in dict(poll.poll(timeout_s * 1000)):
            os.eventfd_read(self._nudge)

    def step(self, now: float) -> float:
        """Take in what was told; seconds until it is to be stepped again even if nothing is told."""
        changed = self._hear(now)
        if now >= self._ask_at:
            self._ask_at = now + ASK_ANEW_S
            self._take_all(now)
            changed = True
        if changed and self._decide(now):
            self._ask_managers_at = now
        if now >= self._ask_managers_at:
            self._ask_managers_at = now + MANAGER_EVERY_S
            self._told_by_managers = self._managers()
            self._known = msgspec.structs.replace(self._known, links=self._described())
        return max(0.0, self._ask_at - now)

    def close(self) -> None:
        """Gives the sockets back; the last thing to be called."""
        self._told.close()
        self._asking.close()
        with self._nudging:
            os.close(self._nudge)
            self._nudge = -1

    def _hear(self, now: float) -> bool:
        """True when something was told that may change the way to the hub."""
        changed = False
        while True:
            try:
                datagram = self._told.recv(DATAGRAM_BYTES)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._ask_at = now  # more happened than was kept for us
                continue
            for seen in netlink.read(datagram):
                changed |= self._take(seen, now)

    def _take(self, seen: Seen, now: float) -> bool:
        match seen:
            case LinkSeen():
                return self._take_link(seen, now)
            case LinkGone(index=index):
                return self._take_gone(index, now)
            case Moved():
                return True
            case Route() | Done():
                return False

    def _take_link(self, seen: LinkSeen, now: float) -> bool:
        """Notices repeat (Wi-Fi tells of its scans); only a new name or state is a change."""
        old = self._links.get(seen.index)
        if old is not None and (old.name, old.state) == (seen.name, seen.state):
            return False
        up = seen.state == "up"
        if old is None:
            before = self._gone.pop(seen.name, None)
            was_up = up or (before is not None and before.was_up)
            since = before.changed_at if before is not None and not up else now
            new = Link(seen.index, seen.name, kind_of(seen.name), seen.state, since, was_up)
        else:
            new = msgspec.structs.replace(
                old,
                name=seen.name,
                kind=kind_of(seen.name),
                state=seen.state,
                # off after lost, or lost after off, is one loss
                changed_at=now if up or old.state == "up" else old.changed_at,
                was_up=old.was_up or up,
            )
        self._links[seen.index] = new
        return True

    def _take_gone(self, index: int, now: float) -> bool:
        old = self._links.pop(index, None)
        if old is None:
            return False
        if old.was_up:
            since = now if old.state == "up" else old.changed_at
            self._gone.pop(old.name, None)
            self._gone[old.name] = msgspec.structs.replace(old, state="down", changed_at=since)
            while len(self._gone) > GONE_KEPT:
                del self._gone[next(iter(self._gone))]
        return True

    def _take_all(self, now: float) -> None:
        seen = [each for each in self._answer(netlink.ask_links) if isinstance(each, LinkSeen)]
        for each in seen:
            self._take_link(each, now)
        for index in self._links.keys() - {each.index for each in seen}:
            self._take_gone(index, now)

    def _decide(self, now: float) -> bool:
        """The way to the hub as it is now. True when another link carries us than before, or none does:
        then the courier is woken, if there is one."""
        before, way = self._known, self._way()
        links = tuple(self._links.values())
        named = self._links.get(way)
        around = None
        if named is not None and named.state != "up":
            around = detour(way, links, self._routes(), self._addresses)
        known = Links(
            links=self._described(),
            way=named.name if named is not None else "",
            detour=around.name if around is not None else "",
        )
        was, now_by = before.carrier, known.carrier
        since = before.changed_at if (was is None) == (now_by is None) else now
        self._known = msgspec.structs.replace(known, changed_at=since)
        if (was and was.name) == (now_by and now_by.name):
            return False
        if now_by is not None:
            self._wake_courier()
        return True

    def _described(self) -> tuple[Link, ...]:
        """Every link, those that vanished too, with what is known of its cost and its radio."""
        told = self._told_by_managers
        return tuple(
            msgspec.structs.replace(
                link, metered=self._metering.of(link, told.metered), radio=told.radio.get(link.name, "")
            )
            for link in (*self._links.values(), *self._gone.values())
        )

    def _way(self) -> int:
        """Index of the interface the kernel takes to the first address it has a way to; 0 for none."""
        for address in self._addresses:
            for seen in self._answer(lambda sequence, to=address: netlink.ask_way(sequence, to)):  # type: ignore[misc]
                if isinstance(seen, Route):
                    return seen.index
        return 0

    def _routes(self) -> list[Route]:
        return [seen for seen in self._answer(netlink.ask_routes) if isinstance(seen, Route)]

    def _answer(self, request: Callable[[int], bytes]) -> Iterator[Seen]:
        """Everything the kernel says to one request."""
        self._sequence += 1
        asked = request(self._sequence)
        whole = netlink.is_dump(asked)
        self._asking.settimeout(ANSWER_S)
        self._asking.send(asked)
        while True:
            found = netlink.read(self._asking.recv(DATAGRAM_BYTES), self._sequence)
            for seen in found:
                if isinstance(seen, Done):
                    return
                yield seen
            if found and not whole:
                return


def _netlink(groups: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        opened.bind((0, groups))
    except OSError:
        opened.close()
        raise
    return opened
