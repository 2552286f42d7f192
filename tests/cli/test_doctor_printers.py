"""What `vafa doctor` says of receipt printers: pretend ones on the network, with the daemon up and down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from device import Device, Ran, Run

from vafa.app.doctor_printers import PRINTED_WITHIN_S, Daemon, print_samples
from vafa.app.findings import Patient
from vafa.app.live import Live, PrinterState
from vafa.app.standing import PrinterFacts
from vafa.cli.doctor import patient
from vafa.model.errors import ReceiptFault
from vafa.receipt import raster
from vafa.receipt.bitmap import Bitmap
from vafa.simulators.printer import Printer
from vafa.simulators.tcp_line import serve_tcp

READY = PrinterState("counter", "tcp:192.0.2.9:9100", "escpos-58", "ready", printed_age_s=3.0)


@pytest.fixture
def stopped(device: Device) -> Device:
    """The daemon is down and has given the ledger back."""
    device.shop.ledger.close()
    return device


@contextmanager
def printer(device: Device, profile: str = "escpos-58") -> Iterator[Printer]:
    """A pretend printer, named in the device's configuration."""
    it = Printer()
    with serve_tcp(it) as line:
        table = f'[[printer]]\nname = "counter"\naddress = "tcp:{line.address}"\nprofile = "{profile}"\n'
        device.config.write_text(device.config.read_text() + table)
        yield it


def said(ran: Ran) -> str:
    return " ".join(ran.out.split())


def test_a_device_without_a_printer_has_nothing_wrong(vafa: Run) -> None:
    ran = vafa("doctor", "--only", "printer")
    assert ran.code == 0
    assert "none is configured" in said(ran)


def test_with_the_daemon_down_a_printer_is_opened_and_asked_and_nothing_is_printed(
    stopped: Device, vafa: Run
) -> None:
    with printer(stopped) as it:
        ran = vafa("doctor", "--only", "printer")
        assert ran.code == 0
        assert "Persian letters come out joined and in order" in said(ran)
        assert "opens, ready" in said(ran)
        it.trouble("paper-out")
        ran = vafa("doctor", "--only", "printer")
        assert (ran.code, "[PRN-004]" in ran.out) == (10, True)
    assert it.slips == []


@pytest.mark.parametrize(
    ("profile", "trouble", "words"),
    [("escpos-58", "mute", "answers no questions"), ("escpos-58-plain", "paper-out", "opens")],
)
def test_a_printer_that_answers_nothing_is_believed(
    stopped: Device, vafa: Run, profile: str, trouble: str, words: str
) -> None:
    with printer(stopped, profile) as it:
        it.trouble(trouble)
        ran = vafa("doctor", "--only", "printer")
    assert ran.code == 0
    assert words in said(ran)


def test_a_printer_that_is_not_there_is_a_warning_for_sales_go_on(stopped: Device, vafa: Run) -> None:
    with printer(stopped):
        pass
    ran = vafa("doctor", "--only", "printer")
    assert ran.code == 10
    assert "warn printer counter at tcp:127.0.0.1" in said(ran)


def test_missing_fribidi_and_a_logo_that_is_none_are_told(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.config.write_text(device.config.read_text() + '[receipt]\nlogo = "logo.png"\n')
    with printer(device):
        ran = vafa("doctor", "--only", "printer")
        assert (ran.code, "[PRN-012]" in ran.out) == (10, True)

        def unset() -> None:
            raise ReceiptFault("this machine cannot set Persian type", fix="sudo apt install libfribidi0")

        monkeypatch.setattr(raster, "_refuse_unjoined", unset)
        ran = vafa("doctor", "--only", "printer")
    assert (ran.code, "[PRN-010]" in ran.out) == (10, True)
    assert "fix sudo apt install libfribidi0" in said(ran)


def test_with_the_daemon_up_its_word_counts_and_the_printer_is_not_touched(device: Device, vafa: Run) -> None:
    def state(**changed: object) -> None:
        device.live = Live("0.1.0", 4711, 1.0, (), printers=(PrinterState(**READY_FIELDS | changed),))  # type: ignore[arg-type]

    with printer(device) as it, device.up():
        ran = vafa("doctor", "--only", "printer")
        assert (ran.code, "not served by the running daemon" in said(ran)) == (10, True)
        state(waiting=2)
        ran = vafa("doctor", "--only", "printer")
        assert "ready, 2 waiting" in said(ran)
        state(
            doing="cover open", message="the printer says: cover open", code="PRN-005", fix="close the cover"
        )
        ran = vafa("doctor", "--only", "printer")
        assert (ran.code, "[PRN-005]" in ran.out) == (10, True)
    assert it.received == 0


READY_FIELDS = {"name": "counter", "address": "x", "profile": "escpos-58", "doing": "ready"}


def test_a_sample_is_printed_directly_while_the_daemon_is_down(stopped: Device, vafa: Run) -> None:
    with printer(stopped) as it:
        ran = vafa("doctor", "--only", "printer", "--print")
        assert ran.code == 0, ran.out
        assert "a sample slip was sent; look at it" in said(ran)
        (slip,) = it.slips
        assert slip.lines[0].startswith("[dots 384x")
        it.trouble("cover-open")
        ran = vafa("doctor", "--only", "printer", "--print")
        assert (ran.code, ran.out.count("[PRN-005]")) == (10, 2)


def test_nothing_to_print_on_is_said(vafa: Run) -> None:
    ran = vafa("doctor", "--only", "printer", "--print")
    assert (ran.code, "[PRN-009]" in ran.out) == (10, True)


class Shop:
    """A daemon that prints: each look at it is one of `looks`; time passes as it waits."""

    def __init__(self, *looks: PrinterFacts) -> None:
        self.looks = list(looks)
        self.asked: list[str] = []

    def daemon(self) -> Daemon:
        def printers() -> tuple[PrinterFacts, ...]:
            return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0],)

        return Daemon(self.asked.append, printers, lambda _s: None)


def facts(state: str, waiting: int, age_s: float | None) -> PrinterFacts:
    return PrinterFacts("counter", "counter escpos-58", state, waiting, 0, age_s)


@pytest.mark.parametrize(
    ("looks", "level", "words"),
    [
        ([facts("printing", 1, 900.0), facts("ready", 0, 0.0)], "ok", "was printed"),
        ([facts("paper low", 0, 0.0)], "ok", "was printed"),
        ([facts("printing", 1, 900.0), facts("cover open", 1, 900.0)], "warn", "the printer is: cover open"),
    ],
)
def test_with_the_daemon_up_it_prints_and_its_word_is_waited_for(
    device: Device, looks: list[PrinterFacts], level: str, words: str
) -> None:
    shop = Shop(*looks)
    with printer(device), device.up():
        (finding,) = print_samples(patient(device.config), shop.daemon())
    assert (finding.name, finding.level) == ("print", level)
    assert words in finding.what
    assert shop.asked == ["counter"]


def test_a_sample_that_never_comes_out_is_given_up(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 20))
    shop = Shop(facts("ready", 0, 900.0))
    with printer(device), device.up():
        looked_at: Patient = patient(device.config)
        now: Callable[[], float] = lambda: float(next(clock))  # noqa: E731
        monkeypatch.setattr("vafa.app.doctor_printers.time.monotonic", now)
        (finding,) = print_samples(looked_at, shop.daemon())
    assert finding.code == "PRN-008"
    assert f"{PRINTED_WITHIN_S:.0f} s" in finding.what


def test_the_picture_file_is_where_the_configuration_is(device: Device, vafa: Run, tmp_path: Path) -> None:
    dots = Bitmap(8, 1, b"\xff")
    (tmp_path / "logo.png").write_bytes(raster.png(dots))
    device.config.write_text(device.config.read_text() + '[receipt]\nlogo = "logo.png"\n')
    with printer(device):
        ran = vafa("doctor", "--only", "printer")
    assert ran.code == 0
    assert "logo.png: 8 x 1 dots" in said(ran)
