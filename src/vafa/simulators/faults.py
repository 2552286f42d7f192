"""What can go wrong at a terminal, by name, and the schedule that says when."""

from dataclasses import dataclass, field

from vafa.model.errors import Fault, Refused

FAULTS = {
    "noise": "random bytes before a message",
    "split": "a message arrives in small pieces, over time",
    "bad-lrc": "an answer with a wrong checksum; a NACK would bring it again",
    "repeat-response": "the answer arrives twice, whatever the cash register said",
    "nack": "a request is refused with NACK",
    "deaf": "INM is not answered",
    "silence-after-request": "the customer pays, no answer is ever sent; the journal has it",
    "lost-answer": "one sending of the answer is lost; the terminal repeats it when its time comes",
    "full-pan": "old firmware: the answer holds the whole card number",
    "drop-link": "the line drops after the request was taken; the customer pays all the same",
    "wrong-tid": "the answer names another terminal",
    "no-rrn": "an approval without a reference number",
    "mute": "nothing is answered: the terminal is not in PC-POS mode",
    "wrong-baud": "what is said arrives as garbage, both ways",
    "nack-storm": "NACK to whatever is said, and NACKs unasked",
    "half-open": "this connection is never answered again; a new one is",
    "reset": "the connection is reset; on a pretend serial port the cable is out for a moment",
    "reboot": "the terminal restarts: the line closes, nobody is there for a minute",
}
ALWAYS = -1


@dataclass
class _Armed:
    times: int
    from_sale: int


@dataclass
class Faults:
    """Which faults are armed. Each is used up `times` times, beginning with sale number `from_sale`."""

    _armed: dict[str, _Armed] = field(default_factory=dict)

    def arm(self, name: str, times: int = 1, from_sale: int = 0) -> None:
        """Switch a fault on (`times` -1: for good; 0: off). Refused for a name that is none."""
        if name not in FAULTS:
            raise Refused(f"no fault is called {name!r}", fix=f"one of: {', '.join(FAULTS)}")
        self._armed[name] = _Armed(times, from_sale)

    def use(self, name: str, sale: int) -> bool:
        """True when the fault strikes now; counts it as used."""
        armed = self._armed.get(name)
        if armed is None or armed.times == 0 or sale < armed.from_sale:
            return False
        if armed.times > 0:
            armed.times -= 1
        return True

    def waiting(self) -> dict[str, int]:
        """Armed faults with how often each will still strike."""
        return {name: armed.times for name, armed in self._armed.items() if armed.times}


def read_fault(text: str) -> tuple[str, int, int]:
    """`noise`, `nack=2`, `full-pan=always`, `lost-answer@3` (at sale 3): (name, times, sale)."""
    rest, _, sale = text.partition("@")
    name, _, times = rest.partition("=")
    try:
        count = ALWAYS if times == "always" else int(times or 1)
        number = int(sale or 0)
    except ValueError:
        raise Refused(str(Fault("--fault", f"{text!r} is not NAME, NAME=TIMES or NAME@SALE"))) from None
    Faults().arm(name, count, number)
    return name, count, number
