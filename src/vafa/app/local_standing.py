"""The part of `status` about where payment applications come in."""

from collections.abc import Iterator

from vafa.app.live import Live
from vafa.app.standing import LocalLineFacts, Trouble
from vafa.app.terminal_status import as_sentence


def local_lines(live: Live | None) -> tuple[LocalLineFacts, ...]:
    """Each line as `status` shows it; none while the daemon is down."""
    lines = live.local if live else ()
    return tuple(
        LocalLineFacts(each.kind, each.address, each.state, each.clients, each.noise) for each in lines
    )


def of_local_lines(live: Live | None) -> Iterator[Trouble]:
    """A cable that is out. What cannot be listened on ends the start, so it is never trouble here."""
    for line in live.local if live else ():
        if line.state == "closed":
            yield Trouble(
                "degraded",
                f"The payment application's cable is not heard: {line.trouble or 'its line is closed'}.",
                as_sentence(line.fix) or f"Check the cable at {line.address}; vafa tries again by itself.",
                line.code or "SER-001",
            )
