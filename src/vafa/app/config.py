"""config.toml: every setting with its type, range, default and meaning, each written once, below.

The structs are the table: the reader finds faults with them, all at once, each with its place
(`terminal[0].baud`) and the nearest right name; config.example.toml is printed from them; the README's
settings are theirs. Paths that are not absolute count from the configuration file's own directory.
"""

import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from vafa.app.config_address import (
    address_fault,
    nearest_address,
    nearest_printer,
    printer_fault,
    serial_fault,
)
from vafa.app.config_links import Links
from vafa.app.config_udp import Notifications
from vafa.app.config_update import Update
from vafa.model.errors import ConfigError, Fault

KEY_CREDENTIAL = "vafa.key"  # what LoadCredential calls the key in systemd/vafa.service


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown; not a name (../x); a directory (Asia)
        return 'no such time zone; expected e.g. "Asia/Tehran"'
    return ""


def _loopback(text: str) -> str:
    if not text:
        return ""
    from vafa.ports.loopback_place import loopback_fault  # only those pay for it who set it

    return loopback_fault(text)


def _terminal_id(text: str) -> str:
    fits = text.isascii() and text.isalnum() and len(text) <= 16
    return "" if fits else "expected 1 to 16 letters and digits"


def _not_empty(text: str) -> str:
    return "" if text.strip() else "may not be empty"


class Shop(Struct, frozen=True, kw_only=True):
    """Who sells, and in whose calendar and language."""

    name: Annotated[
        str, Meta(description="the shop's name as the receipt shows it", extra={"check": _not_empty})
    ]
    name_en: Annotated[str, Meta(description='the same in English, for `vafa status`; "" = name')] = ""
    zone: Annotated[str, Meta(description="time zone of days and windows", extra={"check": _zone})] = (
        "Asia/Tehran"
    )
    language: Annotated[Literal["fa", "en"], Meta(description="language of the paper")] = "fa"


class Ledger(Struct, frozen=True):
    """Where the ledger lies."""

    directory: Annotated[
        str, Meta(description="where ledger.db lives; a durable disk", extra={"check": _not_empty})
    ] = "/var/lib/vafa"


class Keys(Struct, frozen=True):
    """The key that turns phones and cards into tokens."""

    file: Annotated[
        str,
        Meta(
            description='the device\'s key file; "" = the credential vafa.key if the unit loads one, '
            "else keys/device.key in the ledger's directory"
        ),
    ] = ""


class Local(Struct, frozen=True):
    """Where the payment application on this device, or at the end of a cable, reaches Vafa."""

    socket: Annotated[
        str, Meta(description="unix socket of the local protocol", extra={"check": _not_empty})
    ] = "/run/vafa/local.sock"
    group: Annotated[str, Meta(description='group that may connect; "" = the service\'s own')] = ""
    key: Annotated[
        Literal["sender", "rrn"],
        Meta(description="what makes a payment one payment: the sender's reference, or the switch's RRN"),
    ] = "sender"
    tcp: Annotated[
        str,
        Meta(
            description='the same protocol on a port of this machine alone, e.g. "127.0.0.1:7117" or '
            '"[::1]:7117"; each connection begins with a hello that tells the secret; "" = no port',
            extra={"check": _loopback},
        ),
    ] = ""
    secret: Annotated[
        str,
        Meta(
            description="file with the secret for tcp, mode 0640, given to the group above; one that is not "
            "there is made at the start",
            extra={"check": _not_empty},
        ),
    ] = "/run/vafa/local.secret"  # noqa: S105 - where it is, not what
    serial: Annotated[
        str,
        Meta(
            description='the same on a serial line, e.g. "/dev/ttyUSB1" or "usb:0403:6001"; "" = none',
            extra={"check": serial_fault, "nearest": nearest_address},
        ),
    ] = ""
    baud: Annotated[
        Literal[9600, 19200, 38400, 57600, 115200],
        Meta(description="bits a second of that serial line, 8N1, no handshake"),
    ] = 115200


class Control(Struct, frozen=True):
    """The socket of the command line."""

    socket: Annotated[
        str, Meta(description="unix socket that `vafa status` asks", extra={"check": _not_empty})
    ] = "/run/vafa/control.sock"
    group: Annotated[str, Meta(description='group that may ask; "" = the service\'s own')] = ""


class Relay(Struct, frozen=True):
    """The process that terminals in mode proxy are reached through."""

    socket: Annotated[
        str, Meta(description="unix socket the daemon reads its copies from", extra={"check": _not_empty})
    ] = "/run/vafa-relay/relay.sock"
    directory: Annotated[
        str,
        Meta(
            description="where it keeps whether copies were unread when it ended (never the copies)",
            extra={"check": _not_empty},
        ),
    ] = "/var/lib/vafa-relay"


class Club(Struct, frozen=True):
    """The rules."""

    programme: Annotated[
        str,
        Meta(description='the club\'s rules, e.g. "programme.toml" beside this file; "" = the plain example'),
    ] = ""


class Terminal(Struct, frozen=True, kw_only=True):
    """One card terminal; a device may serve several."""

    id: Annotated[
        str, Meta(description="the terminal id (TID) as its receipts print it", extra={"check": _terminal_id})
    ]
    protocol: Annotated[Literal["sadad"], Meta(description="what the terminal speaks")] = "sadad"
    mode: Annotated[
        Literal["ecr", "poll", "local", "proxy"],
        Meta(
            description="ecr: Vafa sends the amount; poll: Vafa only reads the terminal's own list; "
            "local: the payment application tells Vafa of each sale; "
            "proxy: the cash register's line goes through `vafa relay`, and Vafa listens"
        ),
    ] = "ecr"
    address: Annotated[
        str,
        Meta(
            description="serial line, better by what does not change (/dev/serial/by-id/..., or the USB "
            'adapter as "usb:0403:6001", "usb:SERIAL", "usb:0403:6001@1-1.2"), or "tcp:192.0.2.1:8888"; '
            "unused by local",
            extra={"check": address_fault, "nearest": nearest_address},
        ),
    ] = "/dev/ttyUSB0"
    listen: Annotated[
        str,
        Meta(
            description="proxy only: where the cash register comes in, of the address's kind: a serial line, "
            'or "tcp:0.0.0.0:8888"',
            extra={
                "check": lambda text: address_fault(text) if text else "",
                "nearest": nearest_address,
            },
        ),
    ] = ""
    baud: Annotated[
        Literal[9600, 19200, 38400, 57600, 115200], Meta(description="bits a second of a serial line, 8N1")
    ] = 115200
    card_first: Annotated[
        bool, Meta(description="ask for the card before the amount, so that the member is known")
    ] = False
    text: Annotated[
        Literal["fa", "off"], Meta(description="the points' text on the terminal's own slip, or off")
    ] = "fa"
    poll: Annotated[
        bool,
        Meta(
            description="read the terminal's list of last transactions while it is idle: finds sales "
            "keyed at the terminal itself, and those whose answer was lost; with proxy the relay lends "
            "its idle line for it; unused by local"
        ),
    ] = True
    answer_timeout_s: Annotated[
        int, Meta(ge=10, le=600, description="seconds the customer has to pay; then the sale is unsure")
    ] = 180


class Receipt(Struct, frozen=True):
    """The merchant's own lines on slips that our printers print."""

    header: Annotated[tuple[str, ...], Meta(description="lines above each slip, e.g. the branch")] = ()
    footer: Annotated[tuple[str, ...], Meta(description="lines below each slip, e.g. the telephone")] = ()
    logo: Annotated[
        str, Meta(description='a PNG, GIF, BMP or JPEG file printed first, black on white; "" = none')
    ] = ""
    code: Annotated[
        str,
        Meta(
            description="what a QR code below the slip holds, e.g. an address with {claim} or {number} in "
            'it; printed only where the slip has such a number; "" = none'
        ),
    ] = ""


class Printer(Struct, frozen=True, kw_only=True):
    """A receipt printer of our own; without one only the terminal's slip has the points' text."""

    name: Annotated[str, Meta(description="what `vafa status` calls it", extra={"check": _not_empty})]
    address: Annotated[
        str,
        Meta(
            description='"/dev/usb/lp0", a serial line as for a terminal, or "tcp:192.0.2.9:9100"',
            extra={"check": printer_fault, "nearest": nearest_printer},
        ),
    ]
    profile: Annotated[
        Literal[
            "escpos-58",
            "escpos-80",
            "escpos-58-plain",
            "escpos-80-plain",
            "text-iransystem",
            "text-cp1098",
            "text-windows-1256",
            "lines",
        ],
        Meta(description="what kind of printer; `vafa receipt profiles` explains them"),
    ] = "escpos-58"
    baud: Annotated[
        Literal[9600, 19200, 38400, 57600, 115200], Meta(description="bits a second of a serial line")
    ] = 115200
    flow: Annotated[
        Literal["none", "rtscts", "dsrdtr", "xonxoff"],
        Meta(description="how a printer on a serial line says that it must wait"),
    ] = "rtscts"
    terminals: Annotated[
        tuple[str, ...],
        Meta(
            description="ids of the terminals whose slips it prints; [] = all but those of mode local, whose "
            "payment application prints"
        ),
    ] = ()


class Jobs(Struct, frozen=True):
    """Upkeep of the ledger (see jobs)."""

    checkpoint_every_min: Annotated[
        int, Meta(ge=1, le=1440, description="minutes between looks at the write-ahead log")
    ] = 60
    integrity_every_h: Annotated[int, Meta(ge=1, le=720, description="hours between integrity checks")] = 24
    backup_every_h: Annotated[int, Meta(ge=1, le=720, description="hours between backups")] = 24
    backup_directory: Annotated[
        str,
        Meta(description='where backups go, better another disk; "" = backups in the ledger\'s directory'),
    ] = ""
    backups_kept: Annotated[int, Meta(ge=1, le=365, description="backups kept, oldest dropped first")] = 7


class Log(Struct, frozen=True):
    """What is written to the log, and how."""

    format: Annotated[
        Literal["auto", "journal", "json", "console"],
        Meta(
            description="auto: journal under systemd, console on a terminal, else JSON lines; all to stderr"
        ),
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least level written")
    ] = "info"


class Config(Struct, frozen=True, kw_only=True):
    """The whole file. `directory` is where it lies; relative paths count from there."""

    shop: Shop
    ledger: Ledger = Ledger()
    keys: Keys = Keys()
    local: Local = Local()
    control: Control = Control()
    relay: Relay = Relay()
    club: Club = Club()
    links: Links = Links()
    terminal: tuple[Terminal, ...] = ()
    receipt: Receipt = Receipt()
    printer: tuple[Printer, ...] = ()
    jobs: Jobs = Jobs()
    log: Log = Log()
    notifications: Notifications = Notifications()
    update: Update = Update()
    directory: Path = Path()

    @property
    def ledger_directory(self) -> Path:
        return self.directory / self.ledger.directory

    @property
    def key_file(self) -> Path:
        """The file named; else the credential systemd hands in; else the one beside the ledger."""
        if self.keys.file:
            return self.directory / self.keys.file
        credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / KEY_CREDENTIAL
        if credential.is_absolute() and credential.exists():
            return credential
        return self.ledger_directory / "keys" / "device.key"

    @property
    def programme_file(self) -> Path | None:
        """None: the packaged plain example."""
        return self.directory / self.club.programme if self.club.programme else None

    @property
    def backup_directory(self) -> Path:
        named = self.jobs.backup_directory
        return self.directory / named if named else self.ledger_directory / "backups"

    @property
    def local_socket(self) -> Path:
        return self.directory / self.local.socket

    @property
    def local_secret(self) -> Path:
        return self.directory / self.local.secret

    @property
    def relay_socket(self) -> Path:
        return self.directory / self.relay.socket

    @property
    def relay_directory(self) -> Path:
        return self.directory / self.relay.directory

    @property
    def control_socket(self) -> Path:
        return self.directory / self.control.socket


def load(path: Path) -> Config:
    """The configuration at `path`. ConfigError with every fault; also for a file that cannot be read."""
    import tomllib

    from vafa.app.config_faults import read_document

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = "no such file; copy config.example.toml there"
        raise ConfigError(str(path), [Fault("file", hint)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Fault("file", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [Fault("file", f"is not UTF-8 at byte {error.start}")]) from error
    except (ValueError, RecursionError) as error:  # TOML's own; 5,000 digits; [[[[[...
        raise ConfigError(str(path), [Fault("file", f"is not TOML: {error}")]) from error
    return read_document(document, path)
