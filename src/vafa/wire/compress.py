"""zstd with bounds: nothing grows beyond what was promised, whatever the bytes say.

A packed text is a varint of its length unpacked, then a zstd frame without magic, checksum, dictionary id and
size: the chain hash and the signature already cover every byte, and a lone event is some 60 bytes. zstandard
is loaded when the first message is packed, never by a daemon that has no hub.
"""

import pkgutil
from collections.abc import Iterable
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

from vafa.model.errors import Malformed
from vafa.wire import limits

if TYPE_CHECKING:
    import zstandard

LEVEL = 12
_WINDOW_BYTES_MAX = 1 << 22
_WORTH_PACKING_BYTES = 160
_SEGMENT_BYTES, _DMER_BYTES = 200, 8  # of zstd's COVER: tried, the fewest bytes for a lone event
_LAST_COMPRESSED = 0b101  # a block header's lowest bits: the last one, of type compressed
_WHOLE_FRAME = 0xFF
_USUAL_BYTES = 64 * 1024


class Form(IntEnum):
    """How a content is written. On the wire; never renumber. A dictionary once shipped is never changed."""

    PLAIN = 0
    ZSTD = 1
    ROWS_1 = 2  # with dictionary-1.bin, for the columns of packed rows; read, written no more
    ROWS_2 = 3  # with dictionary-2.bin, columns for what rules add to awards; read, written no more
    ROWS_3 = 4  # with dictionary-3.bin, dates and days told by how near they are; one block's content alone
    ROWS_3_WHOLE = (
        5  # the same columns in a whole frame: of more than one block, or of one that did not shrink
    )


_BLOCK_BYTES_MAX = 128 * 1024  # of zstd: what one block holds unpacked
_BLOCK_WINDOW = (17 - 10) << 3  # the window descriptor of that many bytes
_DICTIONARIES = {
    Form.ROWS_1: "dictionary-1.bin",
    Form.ROWS_2: "dictionary-2.bin",
    Form.ROWS_3: "dictionary-3.bin",
    Form.ROWS_3_WHOLE: "dictionary-3.bin",
}


@cache
def _dictionary(form: Form) -> "zstandard.ZstdCompressionDict":
    import zstandard

    name = _DICTIONARIES.get(form)
    data = pkgutil.get_data("vafa.wire", name) if name else b""
    return zstandard.ZstdCompressionDict(data or b"")


@cache
def _compressor(form: Form) -> "zstandard.ZstdCompressor":
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        source_size=_USUAL_BYTES,  # tables for texts of this size: larger ones would only take memory
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    )
    return zstandard.ZstdCompressor(dict_data=_dictionary(form), compression_params=parameters)


@cache
def _decompressor(form: Form) -> "zstandard.ZstdDecompressor":
    import zstandard

    return zstandard.ZstdDecompressor(
        dict_data=_dictionary(form),
        max_window_size=_WINDOW_BYTES_MAX,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    )


def trained(samples: Iterable[bytes], size_bytes: int) -> bytes:
    """A dictionary for texts like these; the same for the same samples."""
    import zstandard

    texts: list[bytes | bytearray | memoryview[int]] = [*samples]
    return zstandard.train_dictionary(size_bytes, texts, k=_SEGMENT_BYTES, d=_DMER_BYTES).as_bytes()


def compress(form: Form, plain: bytes) -> bytes:
    """The packed text in a compressed form."""
    assert form is not Form.PLAIN
    assert len(plain) <= limits.CONTENT_BYTES_MAX
    return varint(len(plain)) + _shortened(_compressor(form).compress(plain))


def decompress(form: Form, data: bytes) -> bytes:
    """The text again. Malformed when it is not what `compress` writes, or larger than anything of ours."""
    length, start = read_varint(data, 0)
    if length > limits.CONTENT_BYTES_MAX:
        raise Malformed(f"a packed text promises {length:,} bytes, more than {limits.CONTENT_BYTES_MAX:,}")
    plain = _read(form, _lengthened(data[start:]), length + 1)
    if len(plain) != length:
        raise Malformed("a packed text has another length than it promises")
    return plain


def block(plain: bytes) -> tuple[Form, bytes]:
    """(form, bytes) of the plain stream of rows: a lone event's are mostly the content of one block, without
    even its length and window, which its reader can do without."""
    frame = _compressor(Form.ROWS_3).compress(plain)
    short = _shortened(frame)
    if short[0] == _WHOLE_FRAME:
        return Form.ROWS_3_WHOLE, varint(len(plain)) + short
    return Form.ROWS_3, short[1:]


def unblock(form: Form, data: bytes) -> bytes:
    """The plain stream again. Malformed as above."""
    if form is not Form.ROWS_3:
        return decompress(form, data)
    plain = _read(form, _lengthened(bytes([_BLOCK_WINDOW]) + data), _BLOCK_BYTES_MAX + 1)
    if len(plain) > _BLOCK_BYTES_MAX:
        raise Malformed("a packed text is larger than a block")
    return plain


def _read(form: Form, frame: bytes, at_most: int) -> bytes:
    import zstandard

    try:
        with _decompressor(form).stream_reader(frame) as reader:
            return reader.read(at_most)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Malformed(f"a packed text does not unpack ({error})") from error


def _shortened(frame: bytes) -> bytes:
    """The frame with what follows from its length left out (RFC 8878 §3.1.1): 5 bytes of a lone event's 20.

    A frame of one compressed block becomes its window descriptor and the block's content; any other stands
    whole behind a byte that is no window descriptor of ours.
    """
    block = int.from_bytes(frame[2:5], "little")
    if frame[0] == 0 and block & 7 == _LAST_COMPRESSED and block >> 3 == len(frame) - 5:
        return frame[1:2] + frame[5:]
    return bytes([_WHOLE_FRAME]) + frame


def _lengthened(short: bytes) -> bytes:
    if short[:1] == bytes([_WHOLE_FRAME]):
        return short[1:]
    block = len(short) - 1 << 3 | _LAST_COMPRESSED
    return b"\0" + short[:1] + (block & 0xFFFFFF).to_bytes(3, "little") + short[1:]


def packed(plain: bytes) -> tuple[Form, bytes]:
    """(form, bytes) of a message: small ones and those that do not shrink stay as they are."""
    if len(plain) >= _WORTH_PACKING_BYTES:
        smaller = compress(Form.ZSTD, plain)
        if len(smaller) < len(plain) * 15 // 16:
            return Form.ZSTD, smaller
    return Form.PLAIN, plain


def unpacked(form: Form | None, data: bytes) -> bytes:
    """The message's bytes again. Malformed for a form this Vafa does not know."""
    match form:
        case Form.PLAIN:
            return data
        case Form.ZSTD:
            return decompress(form, data)
        case Form.ROWS_1 | Form.ROWS_2 | Form.ROWS_3 | Form.ROWS_3_WHOLE | None:
            raise Malformed("a message is written in a form this Vafa does not know")


def varint(number: int) -> bytes:
    """LEB128 of a number that is not negative."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, place after it). Malformed when it does not end or is longer than nine bytes."""
    number = shift = 0
    for place in range(at, min(len(data), at + 9)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise Malformed("a number in the bytes does not end")
