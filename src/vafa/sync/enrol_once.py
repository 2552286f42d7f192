"""One enrolment in a process that ends: TLS, HTTP and the ciphers are 20 MB that the daemon need not keep.

    python -m vafa.sync.enrol_once      one question on stdin, to its end; one answer on stdout

The device's token key comes and the merchant's goes through these two pipes alone.
"""

import contextlib
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from vafa.model.errors import VafaError
from vafa.sync.enrol import Enrolled, Enroller, Ledger, Post, Wish
from vafa.sync.link_watch import LinkWatch, LinkWatchError
from vafa.sync.links import Metering


class Ask(msgspec.Struct, frozen=True):
    """Enrol the ledger in `directory`. `address` and the file of `certificates` say how the hub is reached.

    Never shown: it holds the token key.
    """

    directory: str
    address: str
    certificates: str
    wish: Wish
    ledger: Ledger

    def __repr__(self) -> str:
        return "Ask(...)"


class Failure(msgspec.Struct, frozen=True):
    """Why it did not come about."""

    message: str
    fix: str
    code: str


class Done(msgspec.Struct, frozen=True):
    """One of the two. Never shown: it may hold the merchant's key."""

    enrolled: Enrolled | None = None
    failure: Failure | None = None

    def __repr__(self) -> str:
        return "Done(...)"


def answered(ask: Ask, post: Post) -> Done:
    """What is asked for, by `post`."""
    enroller = Enroller(Path(ask.directory), post, lambda: time.time_ns() // 1_000_000)
    try:
        return Done(enrolled=enroller.run(ask.wish, ask.ledger))
    except VafaError as error:
        return Done(failure=Failure(str(error), error.fix, error.code))


def way_round(address: str) -> str:
    """The interface to bind to where the kernel's way to this hub has no carrier and another one is up; ''.

    As the courier goes (sync.links), looked at once: no daemon watches the way to a hub nobody has joined.
    """
    hub = urlsplit(address)
    try:
        found = socket.getaddrinfo(hub.hostname, hub.port or 443, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        found = []  # the way to anywhere, then; why there is no address is said when it is asked
    now = time.monotonic()
    try:
        with contextlib.closing(LinkWatch(lambda: None, now, Metering())) as watch:
            watch.toward(tuple(str(each[4][0]) for each in found))
            watch.step(now)
            return watch.links().detour
    except (LinkWatchError, OSError):
        return ""  # the kernel tells nothing of its links: its own way


def main() -> None:
    """Answer the one question on stdin."""
    from vafa.sync.transport import HttpTransport

    ask = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask)
    around = way_round(ask.address)
    transport = HttpTransport(ask.address, ask.certificates, lambda: around)
    try:
        done = answered(ask, lambda path, body: transport.post(path, body, trusts_clock=True).body)
    finally:
        transport.close()
    sys.stdout.buffer.write(msgspec.msgpack.encode(done))


if __name__ == "__main__":
    main()
