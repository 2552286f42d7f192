"""A serial line known by its adapter instead of its name: ttyUSB0 comes back as ttyUSB1, the adapter stays.

    usb:0403:6001              vendor and product, as `lsusb` prints them
    usb:0403:6001:A50285BI     and the adapter's serial number, where several of a kind are plugged in
    usb:A50285BI               the serial number alone
    usb:0403:6001@1-1.2        and the socket it is plugged into, for adapters without a serial number

`matching` decides on plain facts; `look_up` asks the machine for them, anew at each opening. A path below
`/dev/serial/by-id/` does the same by the system's own link, and needs nothing of this.
"""

from collections.abc import Sequence

from msgspec import Struct

from vafa.model.errors import PortError

PREFIX = "usb:"
_HEX = frozenset("0123456789abcdef")


class Adapter(Struct, frozen=True):
    """What the machine tells of one serial line. vid and pid four hex digits; '' where it tells nothing."""

    device: str
    vid: str = ""
    pid: str = ""
    serial_number: str = ""
    location: str = ""

    def __str__(self) -> str:
        kind = f"{PREFIX}{self.vid}:{self.pid}" if self.vid else "no USB"
        number = f":{self.serial_number}" if self.serial_number else ""
        return f"{self.device} = {kind}{number}{f'@{self.location}' if self.location else ''}"


class UsbId(Struct, frozen=True):
    """Which adapter is meant: what is '' is not looked at."""

    vid: str = ""
    pid: str = ""
    serial_number: str = ""
    location: str = ""


def read_usb_id(address: str) -> UsbId | None:
    """The adapter that `usb:...` means, None when it is no such address."""
    if not address.startswith(PREFIX):
        return None
    wanted, at, location = address.removeprefix(PREFIX).partition("@")
    if at and not location:
        return None
    parts = wanted.split(":", 2)
    if len(parts) == 1:
        return UsbId(serial_number=parts[0], location=location) if parts[0] or location else None
    vid, pid = parts[0].lower(), parts[1].lower()
    if any(len(part) != 4 or not _HEX.issuperset(part) for part in (vid, pid)):
        return None
    if len(parts) == 3 and not parts[2]:
        return None
    return UsbId(vid, pid, parts[2] if len(parts) == 3 else "", location)


def matching(wanted: UsbId, adapters: Sequence[Adapter]) -> list[Adapter]:
    """Those of `adapters` that fit, by name of their device."""
    fits = [
        each
        for each in adapters
        if (not wanted.vid or (each.vid.lower(), each.pid.lower()) == (wanted.vid, wanted.pid))
        and (not wanted.serial_number or each.serial_number == wanted.serial_number)
        and (not wanted.location or each.location == wanted.location)
    ]
    return sorted(fits, key=lambda each: (len(each.device), each.device))


def look_up(address: str) -> str:
    """The device path that `usb:...` means now. PortError when none fits, or more than one does."""
    return chosen(address, plugged_in())


def chosen(address: str, adapters: Sequence[Adapter]) -> str:
    """The one device path of `adapters` that `address` means. PortError as above."""
    wanted = read_usb_id(address)
    if wanted is None:
        raise PortError(f"{address} is no adapter", fix='write it as "usb:0403:6001" or "usb:A50285BI"')
    found = matching(wanted, adapters)
    if len(found) == 1:
        return found[0].device
    if found:
        raise PortError(
            f"{address} fits {len(found)} adapters: {', '.join(each.device for each in found)}",
            fix=f"add the serial number or the socket to terminal.address, one of: {_listed(found)}",
            code="SER-008",
        )
    raise PortError(
        f"{address} is not plugged in",
        fix=f"plug the adapter in; there is now: {_listed(adapters)}",
        code="SER-002",
    )


def plugged_in() -> list[Adapter]:
    """The serial lines this machine has now. Loaded when first needed: most addresses are no usb: ones."""
    from serial.tools.list_ports import comports

    return [
        Adapter(
            port.device,
            "" if port.vid is None else f"{port.vid:04x}",
            "" if port.pid is None else f"{port.pid:04x}",
            port.serial_number or "",
            port.location or "",
        )
        for port in comports()
    ]


def _listed(adapters: Sequence[Adapter]) -> str:
    return "; ".join(str(each) for each in adapters) or "no serial adapter at all"
