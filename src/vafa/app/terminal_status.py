"""The terminals' part of `status`: how each stands, and what is wrong with it.

A terminal nobody hears is `broken` when it is the only one, since then no sale earns; beside one that
is heard it is `degraded`.
"""

from collections.abc import Iterator

from vafa.app.live import LaneState, Live
from vafa.app.standing import TerminalFacts, Trouble
from vafa.codecs.sadad_fields import WRONG_TERMINAL

RELAY_DOWN = "RUN-004"  # without it the cash register does not reach its terminal at all
_REFERENCES_REUSED = " Do the payment application's references begin anew? Such a sale earns nothing."
_COMMANDS = {"sudo", "vafa", "ls", "terminal.address"}  # what a fix may begin with and is written as it is


def terminal_facts(live: Live) -> tuple[TerminalFacts, ...]:
    """Each terminal as its lane sees it."""
    return tuple(
        TerminalFacts(
            lane.terminal,
            lane.mode,
            lane.address,
            _line_state(lane),
            lane.doing,
            lane.last_frame_age_s,
            lane.noise,
            lane.faults,
            lane.polled_age_s,
            lane.disagreeing,
            lane.since_s,
            lane.wired,
            lane.nacks,
        )
        for lane in live.lanes
    )


def _line_state(lane: LaneState) -> str:
    if lane.line != "open":
        return lane.line
    if lane.finding and lane.finding != "noisy":  # a noisy line answers
        return "silent" if lane.finding == "mute" else lane.finding
    if lane.code == WRONG_TERMINAL:
        return "other terminal"
    return "unheard" if lane.last_frame_age_s is None else "answering"


def terminal_troubles(live: Live | None) -> Iterator[Trouble]:
    """What is wrong with each terminal, in the order of the configuration."""
    lanes = live.lanes if live else ()
    heard = any(lane.line != "closed" and not lane.cut_off for lane in lanes)
    for lane in lanes:
        lasting = f", for {lasted(lane.since_s)}" if lane.since_s is not None else ""
        if lane.line == "closed":
            yield Trouble(
                "degraded" if heard and lane.code != RELAY_DOWN else "broken",
                f"Terminal {lane.terminal} cannot be reached{lasting}: "
                f"{lane.trouble or 'its line is closed'}.",
                as_sentence(lane.fix)
                or f"Check its power and its cable at {lane.address}; vafa tries again by itself.",
                lane.code or "SER-001",
            )
        elif lane.trouble:
            yield Trouble(
                "broken" if lane.cut_off and not heard else "degraded",
                f"Terminal {lane.terminal}{lasting if lane.finding else ''}: {lane.trouble}.",
                as_sentence(lane.fix) or "Try one sale. If it comes back, call support with this code.",
                lane.code or "TRM-001",
            )
        yield from _of_polling(lane)


def _of_polling(lane: LaneState) -> Iterator[Trouble]:
    """What the terminal's own list does not tell, or tells otherwise than we heard it."""
    if lane.poll_trouble and lane.line != "closed":
        yield Trouble(
            "degraded",
            f"Terminal {lane.terminal}: {lane.poll_trouble}. Sales keyed there may be missed.",
            "Is it switched on, and in PC-POS mode? It is asked again by itself. Where it never knows this "
            "question: poll = false in config.toml, and vafa record for a missed sale.",
            "GAP-002",
        )
    is_local = lane.line == "local"
    told = f"terminal {lane.terminal} {'told it again' if is_local else 'lists it'}"
    for number in lane.disagreeing:
        yield Trouble(
            "degraded",
            f"Sale {number}: {told} otherwise than it was heard first.",
            f"Compare its slip with: vafa why {number}. It earned once, by what was heard first."
            + (_REFERENCES_REUSED if is_local else ""),
            "GAP-003",
        )


def lasted(seconds: float) -> str:
    """`40 s`, `41 min`, `7 h`, `3 days`: how long something has been so."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size * 1.5:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def as_sentence(fix: str) -> str:
    """A fix as a sentence begins; a command stays as it is typed."""
    return fix if not fix or fix.split(maxsplit=1)[0] in _COMMANDS else fix[0].upper() + fix[1:]
