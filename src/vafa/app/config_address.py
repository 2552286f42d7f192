"""Addresses in config.toml: is one written rightly, and what was most likely meant when it is not.

People write addresses as another program had them: `tcp://192.0.2.1:8888`, `192.0.2.1`, `ttyUSB0`. Taken as
they are they would only fail when the line is opened, with words about a network in which nothing is wrong.
"""

from vafa.ports.link import TCP_PREFIX
from vafa.ports.usb_id import PREFIX, read_usb_id

_EXPECTED = 'expected a device path such as "/dev/ttyUSB0", "usb:0403:6001", or "tcp:192.0.2.1:8888"'
_USUAL_PORT = "8888"  # a Sadad terminal's (vendor's document); printers have 9100
_NAME_LENGTH_MAX = 253  # RFC 1035 §2.3.4, as it is written
_NO_MARKS = str.maketrans("", "", ".-_")
# What people write instead, for `nearest_address`: compiled when a file is faulty, which is seldom.
_SCHEME = r"(?i)(tcp|tcpip|socket|https?)(:/*|/+)"
_USB_NUMBERS = r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}"
_PORT_NAME = r"/?(?:dev/)?(tty(?:USB|ACM|S|AMA)\d+|serial/.+)"


def address_fault(text: str) -> str:
    """What is wrong with a terminal's address, '' when nothing is."""
    if text != text.strip():
        return "has blanks around it"
    if text.startswith("/"):
        return ""
    if text.startswith(PREFIX):
        return "" if read_usb_id(text) else 'expected "usb:0403:6001", "usb:SERIAL" or "usb:0403:6001@1-1.2"'
    host, colon, port = text.removeprefix(TCP_PREFIX).rpartition(":")
    if not (text.startswith(TCP_PREFIX) and colon and port.isascii() and port.isdigit() and _is_host(host)):
        return _EXPECTED
    return "" if 0 < int(port[:6]) < 65_536 else "a port is a number from 1 to 65535"


def nearest_address(text: str) -> str:
    """The address that was most likely meant, '' when nobody can tell."""
    import re

    bare = text.strip().rstrip("/")
    if found := re.fullmatch(_PORT_NAME, bare):
        meant = f"/dev/{found[1]}"
    elif bare.lower().startswith(PREFIX):
        meant = PREFIX + bare[len(PREFIX) :]
    elif re.fullmatch(_USB_NUMBERS, bare):
        meant = PREFIX + bare
    elif bare.startswith("/"):
        meant = bare
    else:
        place = re.sub(_SCHEME, "", bare, count=1)
        host, _, port = place.rpartition(":")
        if not (_is_host(host) and port.isascii() and port.isdigit()):
            host, port = place, _USUAL_PORT
            if not (is_ip_number(host) or (place != bare and _is_host(host))):  # a word alone may be anything
                return ""
        meant = f"{TCP_PREFIX}{host}:{port}"
    return "" if meant == text or address_fault(meant) else meant


def serial_fault(text: str) -> str:
    """Of the local protocol's cable: a serial line, or '' for none."""
    if text.startswith(TCP_PREFIX):
        return 'expected a serial line such as "/dev/ttyUSB1"; for a port of this machine set local.tcp'
    return address_fault(text) if text else ""


def printer_fault(text: str) -> str:
    """Of a printer: the same forms, with a printer's examples."""
    return address_fault(text).replace("/dev/ttyUSB0", "/dev/usb/lp0").replace(_USUAL_PORT, "9100")


def nearest_printer(text: str) -> str:
    """As `nearest_address`; where no port was written, a printer's."""
    meant = nearest_address(text)
    return meant if _USUAL_PORT in text else meant.replace(f":{_USUAL_PORT}", ":9100")


def _is_host(text: str) -> bool:
    """A name, or a number as `ip addr` shows it; `[...]` around one with colons is allowed."""
    if is_ip_number(text):
        return True
    # figures and dots alone are a number written wrongly: no name server knows it
    letters = text.translate(_NO_MARKS)
    return len(text) <= _NAME_LENGTH_MAX and letters.isascii() and letters.isalnum() and not letters.isdigit()


def is_ip_number(text: str) -> bool:
    """`192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`."""
    from ipaddress import ip_address  # only a network line pays for it

    try:
        ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
