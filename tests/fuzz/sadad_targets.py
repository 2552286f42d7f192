"""A Sadad terminal's line: frames, the conversation, what is overheard, what comes by UDP."""

import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from click import UsageError
from fuzz.judging import assert_no_card_number, assert_sound, same
from fuzz.sadad_reference import frames_in, resealed
from fuzz.target import Target

from vafa.app.overheard import Overheard
from vafa.cli import decode
from vafa.cli.decode import decoder_for
from vafa.codecs import sadad_messages as messages
from vafa.codecs.sadad_announce import Announcement, Notification, read_announcement, read_notification
from vafa.codecs.sadad_dialogue import Dialogue
from vafa.codecs.sadad_frames import ACK, EOT, INM, NACK, Frame, FrameType, Noise, Reader, encode
from vafa.codecs.sadad_outputs import JournalRows, Late, Output, Repeat, SaleDone
from vafa.model.payment import Payment
from vafa.ports.relay_sieve import Sieve
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL
from vafa.receipt.iransystem import encode_lines
from vafa.simulators import sadad_bytes

TID = "40217736"
PAN = "6219861034529007"
_RECORDINGS = Path(__file__).parents[1] / "recordings"
_HELD_BYTES_MAX = 1_003  # one unfinished frame
_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_ASKED = messages.SaleRequest(amount=125_000, order_id="bill-7")
WORDS = (
    b"\x02", b"\x03", b"\x03\x03", b"000", b"002", b"999", b"006", b"0002", b"0004", b"0014", b"00",
    b"0\x000\x00",
    b"\x1a", b"\x19", b"\x06", b"\x15", b"\x04", b"\xf1", b"\n", PAN.encode(), PAN.encode("utf-16-le"),
    "۶۲۱۹۸۶۱۰۳۴۵۲۹۰۰۷".encode("utf-16-le"), b"-\x001\x00", b"\x00\xd8", b"\x00\xdc", b"+1", b"1_0", b" 12",
)  # fmt: skip


def recordings() -> list[bytes]:
    """Every captured or documented frame the project has."""
    found = []
    for path in sorted(_RECORDINGS.glob("sadad-*.hex")):
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
        found.append(bytes.fromhex("".join(lines)))
    return found


def answer(amount: int = 125_000, rrn: str = "320062616116", **fields: str) -> bytes:
    """A terminal's answer, by the pretend terminal's own bytes."""
    given = {"code": "00", "card": "621986******3864", "trace": "000996", "terminal_id": TID} | fields
    return sadad_bytes.sale_response(
        sadad_bytes.SaleAnswer(amount=amount, at=_AT, rrn=rrn, merchant_id="000000000000152", **given)
    )


def frames() -> list[bytes]:
    """Real frames of every kind, both ways, and whole conversations."""
    singles = [encode(frame) for frame in (INM, ACK, NACK, EOT)]
    asks = [
        encode(messages.sale_request_frame(_ASKED)),
        encode(messages.journal_request_frame(messages.JournalRequest(13, with_order_ids=True))),
        encode(messages.card_info_frame()),
    ]
    answers = [answer(), answer(code="51", rrn=""), answer(card=PAN), answer(amount=9_999_999_999_999)]
    talk = singles[1] + singles[1] + answers[0] + b"\n"
    return [*recordings(), *singles, *asks, *answers, talk, answers[0] * 2, answers[0] + answers[1]]


def without_pans(digits: str) -> str:
    """What stands for a card number in an id here."""
    return f"#{sum(map(int, digits))}"


class SadadLine(Target):
    """Bytes to frames to the conversation's outputs, in any state it can be in."""

    name = "sadad-line"
    what = "a terminal's bytes, through frames and conversation, to payments"
    share = 250

    def __init__(self) -> None:
        self.seeds, self.words = frames(), WORDS

    def sealed(self, data: bytes, random: Random) -> bytes:
        return resealed(data)

    def judge(self, data: bytes, random: Random) -> str:
        seen = self._read(data, random)
        standing = frames_in(data)
        found = [each for each in seen if isinstance(each, Frame)]
        told = [(frame.version, int(frame.type), frame.data) for frame in found]
        same(told, [(each.version, each.type, each.data) for each in standing], "frames")
        noise = sum(each.length for each in seen if isinstance(each, Noise))
        left = len(data) - sum(each.end - each.start for each in standing) - noise
        assert 0 <= left <= len(standing), "every byte is a frame's, noise, or a newline behind a frame"
        return self._talk(seen, random)

    @staticmethod
    def _read(data: bytes, random: Random) -> list[Frame | Noise]:
        """Whole, and in pieces: the same."""
        whole = Reader()
        seen = whole.feed(data) + whole.flush()
        pieces, split = Reader(), []
        at = 0
        while at < len(data):
            step = random.choice((1, 2, 7, 60, 400))
            split += pieces.feed(data[at : at + step])
            assert pieces.held_bytes <= _HELD_BYTES_MAX
            at += step
        split += pieces.flush()
        same(_joined(split), _joined(seen), "another split")
        assert not pieces.pending
        return seen

    def _talk(self, seen: list[Frame | Noise], random: Random) -> str:
        dialogue = Dialogue(TID, without_pans)
        begin, now, outputs = random.randrange(6), 0.0, list[Output]()
        if begin in (1, 2, 3):
            outputs += dialogue.sell(_ASKED, now)
        elif begin == 4:
            outputs += dialogue.ask_journal(
                messages.JournalRequest(with_order_ids=bool(random.getrandbits(1))), now
            )
        elif begin == 5:
            outputs += dialogue.ask_card(now)
        for _ in range(begin % 3):  # how far the question has come
            outputs += dialogue.feed(ACK, now)
        for each in seen:
            now += 0.1
            outputs += dialogue.feed(each, now)
            outputs += dialogue.acknowledge(now)
            outputs += dialogue.cancel(now) if random.random() < 0.02 else []
        while dialogue.busy:  # whatever was heard, time ends it
            assert dialogue.deadline is not None
            now = max(now, dialogue.deadline)
            outputs += dialogue.tick(now)
        return _sorted_out(outputs, seen)


def _joined(seen: list[Frame | Noise]) -> list[Frame | int]:
    """Noise as bytes in a row: it is told in parts, and the parts depend on nothing else."""
    return [each if isinstance(each, Frame) else each.length for each in seen]


def _sorted_out(outputs: list[Output], seen: list[Frame | Noise]) -> str:
    """What the outputs say; nothing in them may hold a card number, and nothing is paid without an answer."""
    word = "noise" if not any(isinstance(each, Frame) for each in seen) else "frames"
    responses = [each for each in seen if isinstance(each, Frame) and each.type is FrameType.RESPONSE]
    for output in outputs:
        assert_no_card_number(output)
        match output:
            case SaleDone(payment=Payment() as payment) | Late(payment=Payment() as payment):
                assert responses, "a payment without an answer"
                assert_sound(payment, TID)
                word = "payment"
            case Repeat():
                word = "repeat"
            case JournalRows(rows=rows):
                assert responses, "rows without an answer"
                for row in rows:
                    found = messages.payment_of_row(row, TID)
                    if isinstance(found, Payment):
                        assert_sound(found, TID)
                        word = "rows paid"
            case _:
                pass
    return word


class SadadMessages(Target):
    """The data of a good frame: every message of every version, each way."""

    name = "sadad-messages"
    what = "the data of whole frames: sales, requests, journal rows, card info"
    share = 260

    def __init__(self) -> None:
        self.seeds = [each for each in frames() if len(frames_in(each)) == 1]
        self.words = WORDS

    def sealed(self, data: bytes, random: Random) -> bytes:
        return resealed(data)

    def judge(self, data: bytes, random: Random) -> str:
        reader = Reader()
        word = "noise"
        for seen in reader.feed(data) + reader.flush():
            if not isinstance(seen, Frame):
                continue
            word = "unread"
            for frame in (seen, *(Frame(v, t, seen.data) for v in ("000", "002") for t in _ASKING)):
                message = messages.read_message(frame, without_pans)
                assert_no_card_number(message)
                assert_no_card_number(messages.read_message(frame))
                word = self._paid(message) or word
        return word

    @staticmethod
    def _paid(message: object) -> str:
        match message:
            case messages.SaleResponse():
                found: object = messages.payment_of(message, TID)
            case messages.JournalAnswer(rows=rows):
                read = [row for row in rows if isinstance(row, messages.JournalRow)]
                assert len(rows) <= 1_000
                paid = [messages.payment_of_row(row, TID) for row in read]
                found = next((each for each in paid if isinstance(each, Payment)), None)
                for each in paid:
                    if isinstance(each, Payment):
                        assert_sound(each, TID)
            case _:
                return ""
        if isinstance(found, Payment):
            assert_sound(found, TID)
            return "payment"
        assert_no_card_number(found)
        return "answer"


_ASKING = (FrameType.REQUEST, FrameType.RESPONSE)


class SadadOverheard(Target):
    """Mode `proxy`: the same bytes in both directions, cut anywhere, lent or not."""

    name = "sadad-overheard"
    what = "both directions of a line in mode proxy, and the relay's sieve on it"
    share = 120

    def __init__(self) -> None:
        self.seeds, self.words = frames(), WORDS

    def sealed(self, data: bytes, random: Random) -> bytes:
        return resealed(data)

    def judge(self, data: bytes, random: Random) -> str:
        line = Overheard(TID, without_pans)
        word, number, now, at = "nothing", 0, 0.0, 0
        heard: list[object] = []
        while at < len(data):
            step = random.choice((1, 9, 60, 4_096))
            number, now = number + 1, now + random.choice((0.0, 0.1, 3.0, 400.0))
            direction = TO_REGISTER if random.random() < 0.8 else TO_TERMINAL
            heard += line.feed(direction, number, data[at : at + step], now)
            heard += line.tick(now)
            at += step
        heard += line.cut(number + 1, now)
        for each in heard:
            if isinstance(each, Payment):
                assert_sound(each, TID)
                word = "payment"
            assert_no_card_number(each)
        heard += line.tick(now + 1_000.0)
        assert line.needed_from is None, "after a cut and a long while nothing is waited for"
        assert_no_card_number(line.doing)
        self._sieve(data, random)
        return word

    def _sieve(self, data: bytes, random: Random) -> None:
        """No byte is lost, doubled or changed, whoever it is for."""
        sieve, ours, theirs, at = Sieve(), 0, bytearray(), 0
        asked = sieve.ask(encode(messages.journal_request_frame(messages.JournalRequest())))
        assert asked
        sieve.ask(data[:100])
        while at < len(data):
            step = random.choice((1, 3, 50, 1_000))
            mine, others = sieve.feed(data[at : at + step])
            ours, at = ours + len(mine), at + step
            theirs += others
            if random.random() < 0.1:
                sieve.end()
        mine, others = sieve.flush()
        assert ours + len(mine) + len(theirs) + len(others) == len(data)


class SadadDatagrams(Target):
    """What anybody in the shop's network can send."""

    name = "sadad-udp"
    what = "announcements and notifications by UDP"
    share = 100

    def __init__(self) -> None:
        units = bytearray(366)
        units[196:214] = TID.ljust(9, "\0").encode("utf-16-le")
        self.seeds = [
            "SADAD PCPOS:کافه نگین:192.0.2.17:8888:40217736:000000000000152".encode(),
            b"SADAD PC POS:Kafe: Negin:192.0.2.17:8888:40217736:\0\r\n",
            encode(Frame("000", FrameType.NOTIFICATION, bytes(units))),
        ]
        self.words = (
            *WORDS,
            b":",
            b"SADAD PCPOS:",
            b"255.255.255.255",
            b"0",
            b"65536",
            b"\xd9\x81",
            b"09123456789",
        )

    def sealed(self, data: bytes, random: Random) -> bytes:
        return resealed(data) if data[:1] == b"\x02" else data

    def judge(self, data: bytes, random: Random) -> str:
        told, happened = read_announcement(data), read_notification(data)
        assert_no_card_number(told)
        assert_no_card_number(happened)
        if isinstance(told, Announcement):
            host, _, port = told.address.partition(":")
            assert 0 < int(port) < 65_536
            assert all(0 <= int(part) < 256 for part in host.split("."))
            assert len(data) <= 512
            return "announcement"
        if isinstance(happened, Notification):
            assert len(frames_in(data)) == 1, "a notification that is no frame"
            assert happened.terminal_id.isalnum()
            return "notification"
        return "nothing"


class Captures(Target):
    """What support is sent and gives to `vafa decode`: raw, or written down as hex by whatever wrote it."""

    name = "captures"
    what = "a capture of a line, raw or as hex text"
    share = 20
    bytes_max = 6_000

    def __init__(self) -> None:
        printed = messages.SaleRequest(amount=125_000, receipt_text=encode_lines([f"card {PAN}"]))
        raw = [*frames(), encode(messages.sale_request_frame(printed))]
        text = [path.read_bytes() for path in sorted(_RECORDINGS.glob("sadad-*.hex"))[:4]]
        spelt = [
            raw[0].hex(" ").encode(),
            b"0x" + raw[-1].hex("-").encode() + b" # an answer\n",
            b"\xef\xbb\xbf02",
        ]
        self.seeds = [*raw[-6:], *text, *spelt]
        self.words = (*WORDS, b"0x", b"# ", b"\r\n", b"\xef\xbb\xbf", b"02", b"f1")

    def judge(self, data: bytes, random: Random) -> str:
        decoder, events = decoder_for("sadad"), 0
        try:
            for piece in decode._raw_or_hex(BytesIO(data), "given"):
                events += self._told(decoder.feed(piece))
            events += self._told(decoder.flush())
        except UsageError:
            return "no hex"
        return "frames" if events else "nothing"

    @staticmethod
    def _told(events: list[dict[str, Any]]) -> int:
        for event in events:
            assert_no_card_number(json.loads(msgspec.json.encode(event)))
        return sum(event["event"] != "noise" for event in events)
