"""A shop's device as the command line meets it: configuration, ledger, key, a control socket up or down."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from shop import TID, Shop

from vafa.app.config import load
from vafa.app.control import Control
from vafa.app.live import LaneState, Live, SaleTimes
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.app.status import facts
from vafa.model.money import Currency
from vafa.ports.clock import ManualClock
from vafa.ports.line_server import LineServer
from vafa.ports.unix_place import UnixPlace
from vafa.receipt.page import Page

NOW_MS = 1_767_000_000_000  # the shop's clock: 2025-12-29 12:50 in Tehran
CONFIG = f"""
[shop]
name = "کافه نگین"
name_en = "Kafe Negin"
[ledger]
directory = "."
[keys]
file = "device.key"
[control]
socket = "c.sock"
[[terminal]]
id = "{TID}"
mode = "ecr"
address = "/dev/ttyUSB0"
"""
LANE = LaneState(TID, "ecr", "/dev/ttyUSB0", "open", "idle", 4.2)


class Ran(msgspec.Struct, frozen=True):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


class Scripted:
    """A lane that ends each sale as it was told to."""

    def __init__(self) -> None:
        self.ends: list[SaleEnd] = []
        self.asked: list[tuple[str, int, bytes]] = []

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        self.asked.append((request, amount, member))
        return self.ends.pop(0)


class Device:
    """The shop's device: its ledger, its configuration and, while `up`, its control socket."""

    def __init__(self, directory: Path) -> None:
        self.shop = Shop(directory, NOW_MS)
        self.config = directory / "config.toml"
        self.config.write_text(CONFIG)
        (directory / "device.key").write_text((b"k" * 32).hex())
        (directory / "device.key").chmod(0o600)
        self.clock = ManualClock(NOW_MS)
        self.live = Live("0.1.0", 4711, 273_845.0, (LANE,))
        self.times: dict[int, SaleTimes] = {}
        self.seller = Scripted()
        self.printed: list[tuple[str, str, Page]] = []

    def print_on(self, name: str, number: str, page: Page) -> str:
        """A device with one printer, called counter."""
        self.printed.append((name, number, page))
        return name or "counter"

    def control(self) -> Control:
        """What the daemon puts behind its control socket."""
        shop = self.shop
        return Control(
            shop.ledger,
            shop.counter,
            shop.members,
            Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", shop.programmes),
            shop.programmes,
            {TID: self.seller},
            lambda: self.live,
            self.times,
            lambda: facts(load(self.config)),
            self.clock,
            self.print_on,
        )

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """The daemon answers."""
        control = self.control()
        path = self.config.parent / "c.sock"
        server = LineServer(
            UnixPlace(path, 0o600, ""), lambda line, _: control.answer(line), refuse=control.refusal
        )
        server.start()
        try:
            yield
        finally:
            server.stop()
