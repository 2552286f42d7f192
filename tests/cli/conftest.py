"""A shop with a configuration, a control socket that can be up or down, and the real `vafa` command."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from shop import TID, Shop

from vafa.app.control import Control
from vafa.app.live import LaneState, Live, SaleTimes
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.app.status import facts
from vafa.cli.main import main
from vafa.ports.clock import ManualClock
from vafa.ports.line_server import LineServer

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

    def sell(self, request: str, amount: int, member: bytes) -> SaleEnd:
        self.asked.append((request, amount, member))
        return self.ends.pop(0)


class Device:
    """The shop's device: its ledger, its configuration and, while `up`, its control socket."""

    def __init__(self, directory: Path) -> None:
        self.shop = Shop(directory, NOW_MS)
        self.config = directory / "config.toml"
        self.config.write_text(CONFIG)
        (directory / "device.key").write_text((b"k" * 32).hex())
        self.clock = ManualClock(NOW_MS)
        self.lane = LANE
        self.live = Live("0.1.0", 4711, 273_845.0, (LANE,))
        self.times: dict[int, SaleTimes] = {}
        self.seller = Scripted()

    def control(self) -> Control:
        from vafa.app.config import load

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
        )

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """The daemon answers."""
        control = self.control()
        server = LineServer(self.config.parent / "c.sock", 0o600, "", lambda line, _: control.answer(line))
        server.start()
        try:
            yield
        finally:
            server.stop()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    it = Device(tmp_path)
    monkeypatch.setenv("VAFA_CONFIG", str(it.config))
    monkeypatch.setattr("vafa.cli.asking.now_ms", lambda: NOW_MS)
    yield it
    it.shop.ledger.close()


@pytest.fixture
def vafa(device: Device, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command as the console script does: its exit code and what it printed."""

    def run(*args: str) -> Ran:
        capfd.readouterr()
        code = 0
        try:
            main(list(args))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run
