"""A line to a receipt printer: a serial line, a USB printer's device file, or TCP (port 9100 as a rule).

Paper is slow and printers stall: a slip at 9600 baud takes half a minute. So bytes go in small writes, each
of which may take WRITE_LIMIT_S; a printer that takes nothing for so long is stuck, one that is slow is not.
"""

import errno
import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from vafa.model.errors import PortError
from vafa.ports.link import TCP_PREFIX, DescriptorLink, Gone, Link

PIECE_BYTES = 256  # 0.3 s at 9600 baud
ANSWER_WITHIN_S = 0.5
# 64 KiB: what talks without end (an echo, another machine at this address) is no printer.
_STALE_READS_MAX = 16
_GONE = Gone("check the printer's cable and that it is switched on", "PRN-001")


class Flow(Enum):
    """How a printer on a serial line says "wait"; a USB or TCP printer needs none."""

    NONE = "none"
    RTS_CTS = "rtscts"
    DSR_DTR = "dsrdtr"
    XON_XOFF = "xonxoff"


class PrinterLine(Protocol):
    """What the printing thread needs of a line."""

    def send(self, data: bytes) -> None:
        """All of `data`, however slowly the printer takes it. PortError when it takes nothing, or is gone."""
        ...

    def ask(self, questions: Sequence[bytes], within_s: float) -> dict[bytes, int]:
        """Question -> the byte it was answered with; {} when one stays without for `within_s`.

        PortError when it is gone.
        """
        ...

    def close(self) -> None:
        """Gives the line back."""
        ...


class Printer:
    """A printer behind a link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            self._link.write(data[at : at + PIECE_BYTES])

    def ask(self, questions: Sequence[bytes], within_s: float = ANSWER_WITHIN_S) -> dict[bytes, int]:
        answers: dict[bytes, int] = {}
        for question in questions:
            for _ in range(_STALE_READS_MAX):
                if not self._link.read(0.0):
                    break  # an automatic status or an XON from before is no answer
            self._link.write(question)
            answer = self._link.read(within_s)
            if not answer:
                return {}
            answers[question] = answer[-1]
        return answers

    def close(self) -> None:
        self._link.close()


def open_printer(address: str, baud: int, flow: Flow) -> Printer:
    """The printer at `address`: "/dev/usb/lp0", a serial line, or "tcp:192.0.2.9:9100". PortError."""
    if address.startswith(TCP_PREFIX):
        from vafa.ports.tcp import connect

        return Printer(connect(address.removeprefix(TCP_PREFIX)))
    if is_device_file(address):
        return Printer(_device_file(address))
    from vafa.ports.serial_line import open_port

    port = open_port(address, baud)
    port.rtscts, port.dsrdtr, port.xonxoff = (
        flow is Flow.RTS_CTS,
        flow is Flow.DSR_DTR,
        flow is Flow.XON_XOFF,
    )
    return Printer(DescriptorLink(port.fileno(), str(port.port).removeprefix("/dev/"), port.close, _GONE))


def is_device_file(address: str) -> bool:
    """A USB printer's own device (/dev/usb/lp0, usblp's), which is no serial line."""
    return address.startswith("/dev/") and Path(os.path.realpath(address)).name.startswith("lp")


def _device_file(path: str) -> DescriptorLink:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise _explained(path, error) from error
    return DescriptorLink(descriptor, path.removeprefix("/dev/"), lambda: os.close(descriptor), _GONE)


def _explained(path: str, error: OSError) -> PortError:
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return PortError(f"{path} is not there", fix="plug the printer in; ls /dev/usb/", code="PRN-001")
        case errno.EACCES | errno.EPERM:
            return PortError(
                f"{path}: permission denied; the service user is not in the group lp",
                fix="sudo usermod -aG lp vafa, then: sudo systemctl restart vafa",
                code="PRN-002",
            )
        case errno.EBUSY:
            return PortError(
                f"{path} is in use", fix=f"sudo fuser -v {path}   (names the program)", code="PRN-003"
            )
        case _:
            return PortError(f"{path}: {error.strerror}", fix="switch the printer off and on", code="PRN-001")
