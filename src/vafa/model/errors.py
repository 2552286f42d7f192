"""The error tree.

    VafaError                     a broken world; the message says what to do
    ├── ConfigError               config.toml: every fault at once
    ├── ProgrammeError            programme document: every fault at once
    ├── PortError                 a serial port, socket or pty cannot be used
    ├── TerminalFault             the terminal said something it must not (wrong TID, broken dialogue)
    ├── LedgerError               the ledger cannot be opened, read or written
    │   ├── LedgerBusy            another process holds it; trying again may help
    │   └── LedgerDamaged         chain, page or row does not verify; names the first bad place
    ├── SyncError                 the hub cannot be reached, refuses, or said something it must not
    │   └── Malformed             bytes that are no message of ours, or more than the limits allow
    ├── KeyFileError              a key file is missing, unreadable or has the wrong mode
    ├── SealingFailed             the process that seals and opens phones gave no answer
    ├── ReceiptFault              a slip cannot be set or printed (no FriBidi, a broken logo)
    ├── NotFound                  no such payment, member, claim code ...
    ├── Refused                   a rule says no (claimed already, card of somebody else ...)
    ├── NotRunning                the daemon does not answer on its control socket
    └── HubError                  the hub cannot start, reach its database or do what was asked
        └── StoreUnavailable      its PostgreSQL does not answer; trying again may help

Noise on the wire is a value (codecs), a business "no" of a terminal is an enum member; our own bug is an
assertion. `code` is what support looks up in docs/operations.md.
"""

from collections.abc import Sequence

from msgspec import Struct


class VafaError(Exception):
    """`str(error)` is the message for a person; `fix` the next thing to do; `code` the look-up code."""

    code = "VAFA-000"

    def __init__(self, message: str, *, fix: str = "", code: str = "") -> None:
        super().__init__(message)
        self.fix = fix
        if code:
            self.code = code


class Fault(Struct, frozen=True):
    """One thing wrong in a document: where (`terminal[0].baud`), what, and the nearest right name or ''."""

    place: str
    message: str
    nearest: str = ""

    def __str__(self) -> str:
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return f"{self.place}: {self.message}{hint}"


class DocumentError(VafaError):
    """A document a person wrote is wrong in `faults`, all of them."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name = name
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        plural = "fault" if len(self.faults) == 1 else "faults"
        super().__init__(f"{name}: {len(self.faults)} {plural}\n{lines}")


class ConfigError(DocumentError):
    code = "CFG-001"


class ProgrammeError(DocumentError):
    code = "PRG-001"


class PortError(VafaError):
    code = "SER-001"


class TerminalFault(VafaError):
    code = "TRM-001"


class LedgerError(VafaError):
    code = "LED-001"


class LedgerBusy(LedgerError):
    code = "LED-002"


class LedgerDamaged(LedgerError):
    code = "LED-003"


class SyncError(VafaError):
    code = "SYN-001"


class Malformed(SyncError):
    code = "SYN-002"


class KeyFileError(VafaError):
    code = "KEY-001"


class SealingFailed(VafaError):
    code = "KEY-003"


class ReceiptFault(VafaError):
    code = "PRN-010"


class NotFound(VafaError):
    code = "ASK-001"


class Refused(VafaError):
    code = "ASK-002"


class NotRunning(VafaError):
    code = "RUN-001"


class HubError(VafaError):
    code = "HUB-001"


class StoreUnavailable(HubError):
    code = "HUB-004"
