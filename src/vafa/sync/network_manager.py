"""What NetworkManager and ModemManager know beyond the kernel, where they run: which links cost, which radio.

Asked by their own command lines, in a bounded time: a D-Bus library would cost more memory than the rest of
the link watch, and a device without them loses nothing. Whatever goes wrong is "they say nothing".
"""

import os
import re
import shutil
import subprocess

import msgspec

ANSWER_S = 2.0  # a manager that takes longer is asked again at the next change
_METERED = ("nmcli", "-t", "-f", "GENERAL.DEVICE,GENERAL.METERED", "device", "show")
_MODEM = ("mmcli", "-m", "any", "--output-keyvalue")
_TECHNOLOGY = re.compile(r"^modem\.generic\.access-technologies\.value\[\d+\]\s*:\s*(\S+)", re.MULTILINE)
_NET_PORT = re.compile(r"^modem\.generic\.ports\.value\[\d+\]\s*:\s*(\S+) \(net\)", re.MULTILINE)
_RADIO = {"lte": "LTE", "5gnr": "5G", "gsm": "2G", "gprs": "2G", "edge": "2G", "umts": "3G"}


class Told(msgspec.Struct, frozen=True):
    """The managers' word: interface -> costs by volume; interface -> LTE, 3G ..."""

    metered: dict[str, bool] = {}
    radio: dict[str, str] = {}


def told() -> Told:
    """Asks both; takes at most twice ANSWER_S, and no time where neither is installed."""
    return Told(metered_in(_said(_METERED)), radio_in(_said(_MODEM)))


def metered_in(text: str) -> dict[str, bool]:
    """Out of nmcli's terse lines. A guess counts as the word: NetworkManager guesses from what the access
    point announces. "unknown" is no word."""
    found, device = {}, ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "GENERAL.DEVICE":
            device = value
        elif name == "GENERAL.METERED" and value.split(" ")[0] in ("yes", "no"):
            found[device] = value.startswith("yes")
    return found


def radio_in(text: str) -> dict[str, str]:
    """Out of mmcli's key-value lines: each network port of the modem with its access technology.

    A ppp link has no port of its own; it is the modem's whatever it is called.
    """
    technology = _TECHNOLOGY.search(text)
    if technology is None or technology.group(1) in ("--", "unknown"):
        return {}
    name = technology.group(1)
    radio = _RADIO.get(name, "3G" if name.startswith("hs") else name.upper())
    return dict.fromkeys((*_NET_PORT.findall(text), "ppp0"), radio)


def _said(command: tuple[str, ...]) -> str:
    """What a manager's command printed; '' when it is not there, fails, or takes too long."""
    path = shutil.which(command[0])
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *command[1:]],
            capture_output=True,
            timeout=ANSWER_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
