"""Sealing and opening in a process of its own, so that the daemon never loads the cipher.

    python -m vafa.keys.sealing      one question on stdin, to its end; one answer on stdout

Key, phones and names go through the two pipes alone: an argument or a variable of the environment could be
read in /proc. The process lives for one answer, some 50 ms. When whoever asked is gone, stdin ends and stdout
is broken: either ends it too.
"""

import sys

import msgspec

from vafa.keys.seal import Person, SealedPerson, Sealer


class Ask(msgspec.Struct, frozen=True):
    """Seal these people, open those: lists of (member, what). Never shown: it holds the wrapping key."""

    wrapping_key: bytes
    seal: list[tuple[bytes, Person]]
    open: list[tuple[bytes, SealedPerson]]

    def __repr__(self) -> str:
        return "Ask(...)"


class Done(msgspec.Struct, frozen=True):
    """The answers in the question's order; None for what does not open."""

    sealed: list[SealedPerson]
    opened: list[Person | None]


def answered(ask: Ask) -> Done:
    """What is asked for, with the cipher in this process."""
    sealer = Sealer(ask.wrapping_key)
    return Done([sealer.sealed(member, person) for member, person in ask.seal], sealer.opened(ask.open))


def main() -> None:
    """Answer the one question on stdin."""
    ask = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answered(ask)))


if __name__ == "__main__":
    main()
