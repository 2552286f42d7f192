"""A slip as it would leave the pretend terminal's printer, drawn for a screen."""

from collections.abc import Iterable
from datetime import datetime
from textwrap import wrap
from unicodedata import combining

from vafa.model.calendar import to_jalali
from vafa.simulators.sadad import Slip
from vafa.simulators.sadad_records import ZONE

WIDTH = 40
_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
# Each line of the slip is isolated, so that the frame stays where it is on a screen that reorders text.
_RIGHT_TO_LEFT_ISOLATE, _END_ISOLATE = "\u2067", "\u2069"
_NO_WIDTH = "\u200c\u2066\u2067\u2068\u2069"  # the joiner's opposite, and isolates inside a line


def slip_lines(slip: Slip) -> list[str]:
    """The slip's lines in reading order: the terminal's own, then what the cash register asked to print."""
    at = datetime.fromtimestamp(slip.at, ZONE)
    year, month, day = to_jalali(at.date())
    own = [
        "رسید خرید - نسخه مشتری",
        f"پایانه: {slip.terminal_id}",
        f"{year:04d}/{month:02d}/{day:02d}  {at:%H:%M:%S}",
        f"مبلغ: {slip.amount:,} ریال".replace(",", "٬"),
        f"کارت: {slip.card[-4:]}",
        f"شماره پیگیری: {slip.trace:06d}",
        f"شماره مرجع: {slip.rrn}",
    ]
    rule = ["-" * 20] if slip.lines else []
    return [line.translate(_PERSIAN_DIGITS) for line in own] + rule + list(slip.lines)


def framed(slip: Slip) -> str:
    """The slip in a frame, its lines at the right edge as Persian paper has them."""
    return boxed(slip_lines(slip))


def boxed(lines: Iterable[str]) -> str:
    """Lines of Persian paper in a frame, at the right edge; too long ones go on in the next."""
    edge = "─" * (WIDTH + 2)
    body = [
        f"│ {' ' * (WIDTH - _columns(part))}{_RIGHT_TO_LEFT_ISOLATE}{part}{_END_ISOLATE} │"
        for line in lines
        for part in wrap(line, WIDTH)
    ]
    return "\n".join([f"┌{edge}┐", *body, f"└{edge}┘"])


def _columns(text: str) -> int:
    return min(WIDTH, sum(1 for c in text if not combining(c) and c not in _NO_WIDTH))
