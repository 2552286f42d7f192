"""QR codes read back by zbar: as dots of ours, and drawn by a printer from its own command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vafa.receipt import raster
from vafa.receipt.page import Code, Page, Text
from vafa.receipt.press import pieces
from vafa.receipt.profiles import PROFILES
from vafa.simulators.printer import Printer

TEXTS = ("https://negin.example/join?code=482917", "https://negin.example/" + "n" * 150, "باشگاه نگین ۱۲۳")


def read_by_zbar(picture: bytes, tmp_path: Path) -> str:
    """What zbar finds on a PNG, '' for nothing."""
    if shutil.which("zbarimg") is None:
        assert os.environ.get("CI") != "true", "zbarimg is missing"
        pytest.skip("zbarimg is missing (Debian: zbar-tools): nobody else reads the codes")
    file = tmp_path / "code.png"
    file.write_bytes(picture)
    ran = subprocess.run(
        ["zbarimg", "--nodbus", "--quiet", "--raw", str(file)], capture_output=True, check=False
    )
    return ran.stdout.decode().removesuffix("\n")


def slip(text: str) -> Page:
    return Page("fa", (Text("کد عضویت"), Code(text), Text("تلفن")))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", raster.WIDTHS_PX)
def test_a_code_drawn_as_dots_is_read(width: int, text: str, tmp_path: Path) -> None:
    drawn = raster.Typesetter(width).draw(slip(text))
    assert read_by_zbar(raster.png(drawn), tmp_path) == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("profile", ["escpos-58", "escpos-80", "escpos-58-plain"])
def test_a_code_on_a_printers_paper_is_read(profile: str, text: str, tmp_path: Path) -> None:
    width_px = PROFILES[profile].width_px
    assert width_px is not None
    printer = Printer(width_px)
    for piece in pieces(slip(text), PROFILES[profile]):
        printer.feed(piece, 0.0)
    (paper,) = printer.slips
    assert read_by_zbar(paper.png(), tmp_path) == text
    native = PROFILES[profile].native_codes
    assert (f"[code {text}]" in paper.lines) is native
