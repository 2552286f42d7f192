"""A page as the bytes a printer of a profile is sent; and the same in a process of its own.

    python -m vafa.receipt.press     one question on stdin, to its end; one answer on stdout

Pillow with a font is 9 MB that a slip needs for a tenth of a second, and for half of that time nothing else
of the process runs: so the daemon has it done aside (app.aside). Only what the paper shows goes through.
"""

import sys
from collections.abc import Iterator

import msgspec

from vafa.model.errors import ReceiptFault
from vafa.receipt import escpos, textual
from vafa.receipt.page import Block, Code, Logo, Page
from vafa.receipt.profiles import PROFILES, Profile

LOGO_FAULT = "PRN-012"


class Ask(msgspec.Struct, frozen=True):
    """A page, and the name of a profile."""

    page: Page
    profile: str


class Set(msgspec.Struct, frozen=True):
    """The job in pieces that may be sent one by one; `fault`, `fix` and `code` say what could not be set."""

    pieces: tuple[bytes, ...] = ()
    fault: str = ""
    fix: str = ""
    code: str = ""


def pieces(page: Page, profile: Profile) -> Iterator[bytes]:
    """What the printer is sent, first command to cut. ReceiptFault; ValueError: a code too long."""
    if profile.text is not None:
        yield escpos.INITIALIZE * profile.asks + profile.text.select
        yield from textual.lines(page, profile.text)
        yield escpos.ending(profile.cut)
        return
    from vafa.receipt.raster import Typesetter

    assert profile.width_px is not None
    setter = Typesetter(profile.width_px)
    yield escpos.INITIALIZE
    for run in _runs(page, native_codes=profile.native_codes):
        if isinstance(run, Code):
            yield escpos.qr(run.text)
        else:
            yield from escpos.raster(setter.draw(run), profile.band_rows)
    yield escpos.ending(profile.cut)


def _runs(page: Page, *, native_codes: bool) -> Iterator[Page | Code]:
    """The page cut at the codes that the printer draws itself."""
    blocks: list[Block] = []
    for block in page.blocks:
        if native_codes and isinstance(block, Code):
            yield Page(page.lang, tuple(blocks))
            yield block
            blocks = []
        else:
            blocks.append(block)
    yield Page(page.lang, tuple(blocks))


def answered(ask: Ask) -> Set:
    """The job, or why there is none; a broken logo costs the logo alone, and is said too."""
    try:
        return Set(tuple(piece for piece in pieces(ask.page, PROFILES[ask.profile]) if piece))
    except ReceiptFault as fault:
        said = Set(fault=str(fault), fix=fault.fix, code=fault.code)
        bare = tuple(block for block in ask.page.blocks if not isinstance(block, Logo))
        if fault.code != LOGO_FAULT or bare == ask.page.blocks:
            return said
        without = answered(Ask(Page(ask.page.lang, bare), ask.profile))
        return without if without.fault else msgspec.structs.replace(said, pieces=without.pieces)
    except ValueError as fault:
        return Set(fault=str(fault), fix="shorten receipt.code", code="PRN-011")


def main() -> None:
    """Answer the one question on stdin."""
    ask = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answered(ask)))


if __name__ == "__main__":
    main()
