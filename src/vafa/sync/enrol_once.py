"""One enrolment in a process that ends: TLS, HTTP and the ciphers are 20 MB that the daemon need not keep.

    python -m vafa.sync.enrol_once      one question on stdin, to its end; one answer on stdout

The device's token key comes and the merchant's goes through these two pipes alone.
"""

import sys
import time
from pathlib import Path

import msgspec

from vafa.model.errors import VafaError
from vafa.sync.enrol import Enrolled, Enroller, Ledger, Post, Wish


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


def main() -> None:
    """Answer the one question on stdin."""
    from vafa.sync.transport import HttpTransport

    ask = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask)
    transport = HttpTransport(ask.address, ask.certificates)
    try:
        done = answered(ask, lambda path, body: transport.post(path, body, trusts_clock=True).body)
    finally:
        transport.close()
    sys.stdout.buffer.write(msgspec.msgpack.encode(done))


if __name__ == "__main__":
    main()
