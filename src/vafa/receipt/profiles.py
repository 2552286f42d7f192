"""What each kind of printer is, by the name config.toml gives it. Dots unless a name says text.

A profile says what a printer can do, not how it is reached: its line and speed stand in the configuration.
"""

from msgspec import Struct

from vafa.receipt.escpos import BAND_ROWS_MAX, Cut
from vafa.receipt.textual import Digits, Encoding, Order, Setting

TEAR = Cut(feed_rows=96, command=b"")  # 12 mm: the last line passes the tear bar


class Profile(Struct, frozen=True):
    """`width_px` dots a row, None: text; `native_codes`: draws QR codes itself; `asks`: answers DLE EOT."""

    about: str
    width_px: int | None
    text: Setting | None = None
    native_codes: bool = True
    cut: Cut = Cut()
    band_rows: int = BAND_ROWS_MAX
    asks: bool = True


PROFILES: dict[str, Profile] = {
    "escpos-58": Profile("58 mm paper, 384 dots, tear bar", 384, cut=TEAR),
    "escpos-80": Profile("80 mm paper, 576 dots, cutter", 576),
    "escpos-58-plain": Profile(
        "58 mm, neither QR command nor status: the simplest clones", 384, native_codes=False, cut=TEAR,
        band_rows=24, asks=False,
    ),
    "escpos-80-plain": Profile(
        "80 mm, neither QR command nor status", 576, native_codes=False, band_rows=24, asks=False
    ),
    "text-iransystem": Profile(
        "text only, Iran System glyphs, 32 characters", None, Setting(Encoding.IRAN_SYSTEM, 32), cut=TEAR,
        asks=False,
    ),
    "text-cp1098": Profile(
        "text only, code page 1098 glyphs, 32 characters", None, Setting(Encoding.CP1098, 32), cut=TEAR,
        asks=False,
    ),
    "text-windows-1256": Profile(
        "text only, the printer joins the letters itself, 32 characters", None,
        Setting(Encoding.WINDOWS_1256, 32, Order.LOGICAL, Digits.LATIN), cut=TEAR, asks=False,
    ),
    "lines": Profile(
        "lines of text and nothing else: no command is sent, 40 characters", None,
        Setting(Encoding.WINDOWS_1256, 40, Order.LOGICAL, Digits.LATIN), cut=Cut(command=b""), asks=False,
    ),
}  # fmt: skip
