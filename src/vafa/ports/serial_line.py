"""A serial line, 8N1 without handshake, as every known card terminal wants it. Ptys work the same way.

The line is held with flock, not TIOCEXCL: a lock dies with its process, while the exclusive bit of a tty
that somebody else keeps open outlives a `kill -9` and would lock us out of our own restart.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path

import serial

from vafa.model.errors import PortError
from vafa.ports.holders import holder, locked_here
from vafa.ports.link import DescriptorLink, Gone
from vafa.ports.usb_id import PREFIX, look_up

_TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h; Python's termios lacks it. MIPS and PowerPC have another one

# A pulled cable, an adapter without power: the kernel hangs the line up.
_GONE = Gone("the cable or the adapter was pulled out, or lost its power; plug it in again", "SER-006")


def open_serial(address: str, baud: int) -> DescriptorLink:
    """The line at `address` (a path, or `usb:...`) as a link. PortError says who or what is in the way."""
    port = open_port(address, baud)
    name = os.path.realpath(str(port.port)).removeprefix("/dev/")
    return DescriptorLink(port.fileno(), name, port.close, _GONE)


def open_port(address: str, baud: int) -> serial.Serial:
    """The port at `address`, non-blocking, locked, its input flushed. PortError as above."""
    path = look_up(address) if address.startswith(PREFIX) else address
    port = _opened(path, baud)
    if _is_exclusive(port.fileno()) and (who := holder(path)):
        port.close()
        raise _in_use(path, who)
    return port


def _is_exclusive(descriptor: int) -> bool:
    """True when somebody set TIOCEXCL. Only root gets so far: everybody else's open fails."""
    try:
        answer = fcntl.ioctl(descriptor, _TIOCGEXCL, struct.pack("i", 0))
    except OSError:
        return False  # a machine that cannot tell
    return bool(struct.unpack("i", answer)[0])


def _opened(path: str, baud: int) -> serial.Serial:
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
        return _twice(path) if locked_here(path) else _in_use(path, holder(path))
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


def _in_use(path: str, who: str) -> PortError:
    if who:
        return PortError(
            f"{path} is in use by {who}",
            fix="stop that program; vafa takes the line by itself when it is free",
            code="SER-005",
        )
    return PortError(
        f"{path} is in use; stop the vendor's program, then: vafa status",
        fix=f"sudo fuser -v {path}   (names the program)",
        code="SER-005",
    )


def _twice(path: str) -> PortError:
    return PortError(
        f"{path} is a line that vafa uses already: the same port under another name",
        fix="give each line in config.toml a port of its own; their names: ls -l /dev/serial/by-id",
        code="SER-005",
    )


def _serial_names() -> str:
    """The serial lines this machine has now, so that nobody has to guess the new name."""
    names = sorted(
        str(path) for path in Path("/dev").iterdir() if path.name.startswith(("ttyUSB", "ttyACM", "ttyAMA"))
    )
    return f"terminal.address = one of {', '.join(names)}" if names else "ls /dev/ttyUSB* /dev/ttyACM*"
