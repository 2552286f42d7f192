"""Drives a pretend Sadad terminal by JSON, one object a line: for demos, tests and scripts.

    {"do": "key_sale", "amount": 120000, "card": 2}      a sale at the terminal's own keypad
    {"do": "next", "outcome": "decline", "code": "51"}   what the next customer does
    {"do": "fault", "name": "lost-answer", "times": 1}   arm a fault (times -1: for good, 0: off)
    {"do": "pay_after", "ms": 500}                       how long customers take from now on
    {"do": "journal"}   {"do": "slips"}   {"do": "cards"}   {"do": "status"}   {"do": "quit"}

Each gets one reply: {"ok": true, ...} or {"ok": false, "error": "..."}. In a script a command may carry
"at_ms": it is done that long after the start.
"""

from dataclasses import asdict
from typing import Any, Literal

import msgspec

from vafa.model.errors import VafaError
from vafa.simulators.sadad import Terminal


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """Every field any command may carry; each command reads its own. Amount in rials."""

    do: Literal["key_sale", "next", "fault", "pay_after", "journal", "slips", "cards", "status", "quit"]
    amount: int = 0
    card: int | None = None
    kind: str = "04"
    outcome: str = "approve"
    code: str = "51"
    text: str = "موجودی کافی نیست"
    name: str = ""
    times: int = 1
    sale: int = 0
    ms: int = 0
    at_ms: int = 0


def read_script(text: str) -> list[Command]:
    """The commands of a script, by time; a line that cannot be read is named in the error."""
    commands = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            commands.append(msgspec.json.decode(line, type=Command))
        except msgspec.DecodeError as error:
            raise VafaError(f"script line {number}: {error}") from error
    return sorted(commands, key=lambda command: command.at_ms)


def obey_line(terminal: Terminal, line: str) -> dict[str, Any]:
    """One command line, one reply."""
    try:
        return obey(terminal, msgspec.json.decode(line, type=Command))
    except msgspec.DecodeError as error:
        return {"ok": False, "error": str(error)}


def obey(terminal: Terminal, command: Command) -> dict[str, Any]:
    """Do one command; a refusal is a reply, not an exception. After `quit` the caller stops."""
    try:
        return {"ok": True} | _do(terminal, command)
    except VafaError as error:
        return {"ok": False, "error": str(error), "fix": error.fix}


def _do(terminal: Terminal, command: Command) -> dict[str, Any]:
    reply: dict[str, Any] = {}
    match command.do:
        case "key_sale":
            reply["record"] = asdict(terminal.key_sale(command.amount, command.card, command.kind))
        case "next":
            terminal.next(command.outcome, code=command.code, text=command.text, card=command.card)
        case "fault":
            terminal.fault(command.name, command.times, command.sale)
        case "pay_after":
            terminal.pay_after_s = command.ms / 1000
        case "journal":
            reply["journal"] = [asdict(record) for record in terminal.journal]
        case "slips":
            reply["slips"] = [asdict(slip) for slip in terminal.slips]
        case "cards":
            reply["cards"] = [card.mask for card in terminal.cards]
        case "status":
            reply |= {"state": terminal.state.name, "tid": terminal.tid, "faults": terminal.faults.waiting()}
        case "quit":
            reply["quit"] = True
    return reply
