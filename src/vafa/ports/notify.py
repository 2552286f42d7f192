"""What the service manager is told (sd_notify(3)): a datagram of NAME=value lines to $NOTIFY_SOCKET.

Without systemd every call does nothing. A manager that cannot be reached is not a reason to stop selling,
so failures come back as False; the watchdog then speaks for itself.
"""

import os
import socket

_MICROSECONDS_PER_S = 1_000_000


def notify(*states: str) -> bool:
    """Sends e.g. `notify("READY=1", "STATUS=...")`. True when the manager's socket took it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux's abstract names begin with a NUL byte
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(0)
            line.sendto("\n".join(states).encode(), address)
    except OSError:
        return False
    return True


def ready(status: str) -> bool:
    """The daemon takes payments from now on."""
    return notify("READY=1", _status(status))


def watchdog() -> bool:
    """Still alive; due every `watchdog_interval_s()`."""
    return notify("WATCHDOG=1")


def status(text: str) -> bool:
    """One line for `systemctl status`."""
    return notify(_status(text))


def stopping() -> bool:
    """SIGTERM was heard; the payment in hand is being finished."""
    return notify("STOPPING=1")


def watchdog_interval_s() -> float | None:
    """How often to call `watchdog`: half of what the manager allows; None when it does not watch us."""
    for_process = os.environ.get("WATCHDOG_PID", "")
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    if for_process not in {"", str(os.getpid())} or not allowed_us.isdigit() or int(allowed_us) == 0:
        return None
    return int(allowed_us) / _MICROSECONDS_PER_S / 2


def _status(text: str) -> str:
    return "STATUS=" + text.replace("\n", " ")
