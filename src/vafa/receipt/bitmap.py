"""A picture of black dots, as a thermal printer knows it: one bit a dot, the leftmost dot the highest bit.

Pure: the drawing is in `raster`, what a printer is sent in `escpos`. A row's last byte is padded with white.
"""

from collections.abc import Iterable

from msgspec import Struct


class Bitmap(Struct, frozen=True):
    """`rows` holds `height` rows of (width + 7) // 8 bytes each; a set bit is a black dot."""

    width: int
    height: int
    rows: bytes

    def __post_init__(self) -> None:
        assert len(self.rows) == self.height * self.stride, "a picture's rows are all of one length"

    @property
    def stride(self) -> int:
        """Bytes a row."""
        return (self.width + 7) // 8

    def band(self, first: int, height: int) -> "Bitmap":
        """Rows `first` to `first + height`; shorter at the picture's end."""
        rows = self.rows[first * self.stride : (first + height) * self.stride]
        return Bitmap(self.width, len(rows) // self.stride, rows)

    def cropped(self) -> "Bitmap":
        """Without the white rows above and below: paper and time on the wire cost."""
        black = [at for at, byte in enumerate(self.rows) if byte]
        if not black:
            return Bitmap(self.width, 0, b"")
        first, last = black[0] // self.stride, black[-1] // self.stride
        return self.band(first, last - first + 1)

    def black(self, x: int, y: int) -> bool:
        """Whether the dot at column `x`, row `y` is black."""
        return bool(self.rows[y * self.stride + x // 8] & 0x80 >> x % 8)


def stacked(pictures: Iterable[Bitmap], width: int) -> Bitmap:
    """The pictures below one another, all `width` dots wide."""
    pictures = tuple(pictures)
    assert all(picture.width == width for picture in pictures)
    return Bitmap(width, sum(each.height for each in pictures), b"".join(each.rows for each in pictures))


def from_matrix(matrix: Iterable[Iterable[int]], scale: int, width: int) -> Bitmap:
    """A QR code's modules (0 or 1), each `scale` dots square, in the middle of `width` dots.

    ValueError when it is wider than that.
    """
    rows: list[bytes] = []
    stride = (width + 7) // 8
    for modules in matrix:
        dots = "".join(str(int(bool(module))) * scale for module in modules)
        if len(dots) > width:
            raise ValueError(f"a code {len(dots)} dots wide does not fit on {width}")
        left = (width - len(dots)) // 2
        bits = int("0" * left + dots.ljust(stride * 8 - left, "0"), 2)
        rows.extend([bits.to_bytes(stride)] * scale)
    return Bitmap(width, len(rows), b"".join(rows))
