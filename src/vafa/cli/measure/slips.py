"""What a slip costs: its lines, its dots, its bytes on the wire, and what printing leaves in the daemon.

Lines and dots are made here, warm, in this process, as a printer's next slip is; the daemon has them made by
a short process of its own, so its memory is measured in a real daemon that prints on a pretend printer.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from threading import Condition

import msgspec

from vafa.cli.demo_paper import LETTERHEAD
from vafa.cli.measure.figures import Measured, percentile
from vafa.cli.measure.running import Running, daemon, memory_at_rest, vafa_command
from vafa.model.errors import NotRunning, ReceiptFault
from vafa.receipt import words
from vafa.receipt.page import Code, Page, page, text
from vafa.receipt.press import Ask, pieces
from vafa.receipt.profiles import PROFILES
from vafa.receipt.slip import Known, Shop, Slip, slip_for_award

PROFILE = "escpos-58"
PRINTED_WITHIN_S = 60.0
PRINTER = """[[printer]]
name = "bench"
address = "tcp:{address}"
profile = "escpos-58"
"""


def demo_slip() -> Slip:
    """The first slip of `vafa demo`: a card nobody knows yet, with its claim code."""
    shop = Shop("کافه نگین", "Kafe Negin")
    return slip_for_award(shop, 1_285_000, 128, Known.UNKNOWN, claim="482917", number="1-1-3", check="1234")


def measure_slip(times: int) -> list[Measured]:
    """Lines, dots and bytes of one slip; without dots where this machine cannot set Persian type."""
    slip = demo_slip()
    lines_ms = _taken_ms(lambda: words.text(slip, "fa"), times)
    bare_ms = _taken_ms(lambda: "\n".join(text(page(slip, "en"))), times)
    found = [
        Measured(
            "slip_lines", median(lines_ms), median(bare_ms), "ms",
            f"median of {times}; p99 {percentile(lines_ms, 0.99):.2f} ms",
        )
    ]  # fmt: skip
    try:
        return found + _measure_dots(page(slip, "fa", letterhead=LETTERHEAD), times)
    except ReceiptFault as fault:
        note = f"not measured: {fault}; {fault.fix}"
        return [*found, Measured("slip_raster", None, note=note), Measured("slip_wire", None, note=note)]


def _measure_dots(slip: Page, times: int) -> list[Measured]:
    from vafa.receipt.bitmap import Bitmap
    from vafa.receipt.raster import Typesetter, png

    width_px = PROFILES[PROFILE].width_px
    assert width_px is not None
    setter = Typesetter(width_px)
    dots = Page(
        slip.lang, tuple(each for each in slip.blocks if not isinstance(each, Code))
    )  # its own to draw
    drawn = setter.draw(dots)
    blank = Bitmap(drawn.width, drawn.height, bytes(len(drawn.rows)))
    took_ms = _taken_ms(lambda: setter.draw(dots), times)
    floor_ms = median(_taken_ms(lambda: png(blank), times))
    job = sum(len(piece) for piece in pieces(slip, PROFILES[PROFILE]))
    text_bytes = sum(len(line.encode()) for line in text(slip))
    return [
        Measured(
            "slip_raster", median(took_ms), floor_ms, "ms",
            f"median of {times}; p99 {percentile(took_ms, 0.99):.1f} ms, {drawn.width} x {drawn.height} dots",
        ),
        Measured("slip_wire", float(job), float(text_bytes), "bytes", f"{PROFILE}, to the cut"),
    ]  # fmt: skip


def _taken_ms(work: Callable[[], object], times: int) -> list[float]:
    """Warm: the first round is not counted."""
    work()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000)
    return took


def measure_printing(config: Path, slips: int, settle_s: float) -> Measured:
    """What the daemon of `config` holds more at rest once it has printed `slips` sample slips."""
    from vafa.simulators.printer import Printer
    from vafa.simulators.tcp_line import serve_tcp

    printer, come = Printer(), Condition()

    def on_slip(_slip: object) -> None:
        with come:
            come.notify_all()

    printer.on_slip = on_slip
    try:
        aside_mb, aside_ms = _aside(page(demo_slip(), "fa"))
    except ReceiptFault as fault:
        return Measured("memory_printing", None, note=f"not measured: {fault}; {fault.fix}")
    with serve_tcp(printer) as line:
        own = config.with_name("printing.toml")
        own.write_text(config.read_text("utf-8") + PRINTER.format(address=line.address), encoding="utf-8")
        with daemon(own) as running:
            before, _ = memory_at_rest(running.pid, settle_s)
            for _ in range(slips):
                _print_sample(own, running)
            with come:
                if not come.wait_for(lambda: len(printer.slips) == slips, PRINTED_WITHIN_S):
                    return Measured("memory_printing", None, note="not measured: nothing was printed")
            after, _ = memory_at_rest(running.pid, settle_s)
    note = f"{before / 1e6:.1f} MB before, {slips} slips; set aside: {aside_mb:.0f} MB for {aside_ms:.0f} ms"
    return Measured("memory_printing", max(after - before, 0) / 1e6, before / 1e6, "MB", note)


def _print_sample(config: Path, running: Running) -> None:
    command = [*vafa_command(), "receipt", "print", "--sample", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotRunning(f"the daemon {running.pid} did not print: {done.stderr.strip()}")


def _aside(slip: Page) -> tuple[float, float]:
    """(peak MB, ms) of the process that sets one slip for the daemon. ReceiptFault: it cannot."""
    asked, answered = os.pipe(), os.pipe()
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "vafa.receipt.press"], stdin=asked[0], stdout=answered[1]
    ) as press:
        for end in (asked[0], answered[1]):
            os.close(end)
        with os.fdopen(asked[1], "wb") as question:
            question.write(msgspec.msgpack.encode(Ask(slip, PROFILE)))
        with os.fdopen(answered[0], "rb") as answer:
            said = msgspec.msgpack.decode(answer.read())
        _, status, usage = os.wait4(press.pid, 0)
        press.returncode = os.waitstatus_to_exitcode(status)
    if said["fault"]:
        raise ReceiptFault(said["fault"], fix=said["fix"], code=said["code"])
    return usage.ru_maxrss / 1000, (time.perf_counter() - started) * 1000
