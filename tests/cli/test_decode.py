"""`vafa decode`: any bytes give JSON lines and a summary; no card number and no hash is ever shown."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from vafa.cli import decode
from vafa.codecs.sadad_frames import Frame, FrameType, encode
from vafa.codecs.sadad_messages import SaleRequest, sale_request_frame
from vafa.receipt import iransystem

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("sadad-*.hex"))
PAN = "6219861034529007"  # made up; passes Luhn
ACK_HEX = "02303036303030060303"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(decode.command, list(arguments), input=stdin)


def events(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_as_text_raw_file_stdin_and_argument_says_the_same(path: Path, tmp_path: Path) -> None:
    said = events(run("sadad", str(path)))
    digits = "".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    raw = tmp_path / "capture.bin"
    raw.write_bytes(bytes.fromhex(digits))
    assert events(run("sadad", str(raw))) == said
    assert events(run("sadad", "-", stdin=bytes.fromhex(digits))) == said
    assert events(run("sadad", stdin=digits.encode("ascii"))) == said
    assert events(run("sadad", digits)) == said
    assert said[-1]["event"] == "summary"
    assert said[-1]["bytes"] == len(digits) // 2


def test_a_sale_response_tells_the_payment() -> None:
    path = next(path for path in RECORDINGS if path.stem == "sadad-sale-response")
    (frame, _summary) = events(run("sadad", str(path)))
    assert frame["from"] == "terminal"
    assert frame["message"] == "sale response"
    assert frame["amount"] == 1000
    assert frame["card"] == "621986******3864"
    assert (frame["paid_at"], frame["calendar"]) == ("1397-10-09 15:39:08", "jalali")
    assert frame["key"] == "C0000301/320062616116"


def test_an_ack_comes_from_the_side_that_was_spoken_to() -> None:
    inm, ack = "02303036303030f103f4", ACK_HEX
    assert [event["from"] for event in events(run("sadad", inm + ack))[:-1]] == ["register", "terminal"]
    response = encode(Frame("300", FrameType.RESPONSE, b"x")).hex()
    said = events(run("sadad", response + ack))
    assert [event["from"] for event in said[:-1]] == ["terminal", "register"]
    assert said[0]["malformed"]
    assert said[-1]["malformed"] == 1


def test_noise_is_an_object_with_its_length_and_counted() -> None:
    said = events(run("sadad", f"ffff{ACK_HEX}0aeeee0230"))
    assert said[0] == {"event": "noise", "length": 2, "why": "no frame start"}
    assert said[2] == {"event": "noise", "length": 4, "why": "no frame start"}
    assert said[-1] == {
        "event": "summary", "protocol": "sadad", "bytes": 17, "frames": 1, "malformed": 0,
        "noise_runs": 2, "noise_bytes": 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "02 30 30 36 30 30 30 06 03 03",
        "0x02 0x30 0x30 0x36 0x30,0x30,0x30,0x06,0x03,0x03",
        "0x023030\n3630 # VER\n\n30 30 06 # ACK, not FF\n0303",
        "\ufeff02:30:30:36:30:30:30:06:03:03\r\n",
        "# nothing but a comment ۱۲\n02303036303030060303",
    ],
)
def test_hex_text_may_be_spaced_prefixed_and_commented(text: str) -> None:
    said = events(run("sadad", "-", stdin=text.encode("utf-8")))
    assert [event.get("type") for event in said] == ["ACK", None]


def test_hex_text_in_one_endless_line_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"0x{byte:02x}" for byte in bytes.fromhex(ACK_HEX * 20)) + " # done " + "f" * 50
    for size in range(1, 40):
        monkeypatch.setattr(decode, "_PIECE_BYTES", size)
        said = events(run("sadad", "-", stdin=text.encode("ascii")))
        assert said[-1]["frames"] == 20, size


def test_the_printed_text_is_shown_in_letters_with_card_numbers_masked() -> None:
    text = iransystem.encode("امتیاز") + b"," + PAN.encode("ascii")
    frame = sale_request_frame(SaleRequest(amount=1000, receipt_text=text))
    result = run("sadad", encode(frame).hex())
    (event, _summary) = events(result)
    assert event["receipt_text"] == "امتیاز\n621986******9007"


def test_a_card_hash_is_only_said_to_be_there() -> None:
    hash_ = bytes(range(1, 33))
    payload = f"{hash_.hex()}C0000301000000000000152621986**3864"
    info = encode(Frame("002", FrameType.RESPONSE, f"0004{len(payload):03d}{payload}".encode("ascii")))
    sale = encode(sale_request_frame(SaleRequest(amount=1000, card_hash=hash_)))
    result = run("sadad", (info + sale).hex())
    said = events(result)
    assert [event.get("hash") for event in said] == [True, True, None]
    assert hash_.hex() not in result.output.lower()


@pytest.mark.parametrize("number", [PAN, "۶۲۱۹۸۶۱۰۳۴۵۲۹۰۰۷"])
@pytest.mark.parametrize("first", [34, 182, 214])
def test_a_card_number_in_any_field_of_a_response_is_not_shown(number: str, first: int) -> None:
    data = bytearray(274)
    data[0:4] = "00".encode("utf-16-le")
    data[first : first + 32] = number.encode("utf-16-le")
    result = run("sadad", encode(Frame("000", FrameType.RESPONSE, bytes(data))).hex())
    assert events(result)[0]["message"] == "sale response"
    for shape in (number, PAN, PAN.encode("ascii").hex(), PAN[6:12]):
        assert shape not in result.output


def test_a_card_number_in_noise_is_not_shown() -> None:
    result = run("sadad", "-", stdin=b"\xff" + PAN.encode("ascii"))
    assert PAN not in result.output
    assert events(result)[-1]["noise_bytes"] == 17


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sadda", ACK_HEX), "Did you mean 'sadad'?"),
        (("SADAD", ACK_HEX), "Did you mean 'sadad'?"),
        (("zvt", ACK_HEX), "Known: sadad."),
        (("sadad", "020"), "odd number of hex digits"),
        (("sadad", "no/such/capture.bin"), "is no file here"),
        (("sadad", "/"), "cannot be read"),
        (("sadad", "x" * 5000), "is no hex digit"),
        (("sadad", "z" * 5000), "is no file here"),
        ((), "Missing argument 'PROTOCOL'"),
    ],
)
def test_a_usage_error_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [("02 30\n3g", "stdin, line 2: 'g' is no hex digit"), ("02\n3 # half\n", "stdin, line 2: an odd number")],
)
def test_a_fault_in_hex_text_is_told_with_its_line(text: str, said: str) -> None:
    result = run("sadad", "-", stdin=text.encode("ascii"))
    assert result.exit_code == 2
    assert said in result.output


def test_an_empty_capture_is_a_summary_of_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert [event["event"] for event in events(run("sadad", str(empty)))] == ["summary"]


def test_a_large_capture_is_read_in_pieces(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    capture.write_bytes((bytes.fromhex(ACK_HEX) + b"\n") * 20_000)
    read: list[int] = []
    decoder = decode.decoder_for("sadad")
    for piece in decode.captured(str(capture)):
        read.append(len(piece))
        decoder.feed(piece)
    assert max(read) <= 65_536
    assert sum(read) == 220_000


@given(st.binary(max_size=300))
def test_no_bytes_make_it_crash(data: bytes) -> None:
    result = run("sadad", "-", stdin=b"\x00" + data)
    assert events(result)[-1]["bytes"] == len(data) + 1


@given(st.binary(max_size=300))
def test_no_text_makes_it_crash(data: bytes) -> None:
    assert run("sadad", "-", stdin=data).exit_code in (0, 2)


@given(st.sampled_from(["000", "002"]), st.sampled_from(FrameType), st.binary(max_size=300))
def test_no_frame_makes_it_crash(version: str, kind: FrameType, data: bytes) -> None:
    said = events(run("sadad", "-", stdin=encode(Frame(version, kind, data))))
    assert said[-1]["frames"] == 1


def test_text_is_utf8_whatever_the_locale_says() -> None:
    stream = io.BytesIO()
    data = bytearray(274)
    data[214:224] = "خطا".encode("utf-16-le").ljust(10, b"\0")
    result = CliRunner(charset="ascii").invoke(
        decode.command, ["sadad", encode(Frame("000", FrameType.RESPONSE, bytes(data))).hex()]
    )
    stream.write(result.stdout_bytes)
    assert "خطا" in stream.getvalue().decode("utf-8")
