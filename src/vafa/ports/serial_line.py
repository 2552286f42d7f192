"""A serial line, 8N1 without handshake, as every known card terminal wants it. Ptys work the same way.

The line is held with flock, not TIOCEXCL: a lock dies with its process, while the exclusive bit of a tty
that somebody else keeps open outlives a `kill -9` and would lock us out of our own restart.
"""

import errno
from pathlib import Path

import serial

from vafa.model.errors import PortError
from vafa.ports.link import DescriptorLink


def open_serial(path: str, baud: int) -> DescriptorLink:
    """The line at `path` as a link. PortError says who or what is in the way."""
    port = open_port(path, baud)
    return DescriptorLink(port.fileno(), Path(path).name, port.close)


def open_port(path: str, baud: int) -> serial.Serial:
    """The port at `path`, non-blocking, locked, its input flushed. PortError as above."""
    try:
        return serial.Serial(
            path,
            baud,
            bytesize=serial.EIGHTBITS,
            parity=serial.PARITY_NONE,
            stopbits=serial.STOPBITS_ONE,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError) as error:  # serial.SerialException is an OSError
        raise _explained(path, baud, error) from error


def _explained(path: str, baud: int, error: OSError | ValueError) -> PortError:
    """What a person can do about a line that does not open."""
    number = getattr(error, "errno", None)
    if number in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in str(error):
        return PortError(
            f"{path} is in use; stop the vendor's program, then: vafa status",
            fix=f"sudo fuser -v {path}   (names the program)",
        )
    if number == errno.EPERM:  # not the file's mode: the unit's list of devices
        return PortError(
            f"{path}: this kind of port is not in the service's DeviceAllow",
            fix="sudo systemctl edit vafa: [Service] DeviceAllow=char-NAME rw   (NAME: see /proc/devices)",
            code="SER-003",
        )
    if number == errno.EACCES:
        return PortError(
            f"{path}: permission denied; the service user is not in the group dialout",
            fix="sudo systemctl restart vafa   (by hand: sudo usermod -aG dialout $USER, then log in anew)",
            code="SER-003",
        )
    if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV}:
        return PortError(
            f"{path} is not there; the cable is out, or the adapter got another name",
            fix=f"plug it in, then: {_serial_names()}",
            code="SER-002",
        )
    if isinstance(error, ValueError):
        return PortError(
            f"{path} cannot run at {baud} baud", fix="set terminal.baud as the terminal's menu shows it"
        )
    return PortError(f"{path} cannot be opened as a serial line: {error}", fix="check terminal.address")


def _serial_names() -> str:
    """The serial lines this machine has now, so that nobody has to guess the new name."""
    names = sorted(
        str(path) for path in Path("/dev").iterdir() if path.name.startswith(("ttyUSB", "ttyACM", "ttyAMA"))
    )
    return f"terminal.address = one of {', '.join(names)}" if names else "ls /dev/ttyUSB* /dev/ttyACM*"
