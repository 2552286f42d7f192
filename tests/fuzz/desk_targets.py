"""Whoever talks to the daemon on this machine: the local protocol, its cable, the control socket."""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from zlib import crc32

import msgspec
from fuzz.judging import assert_no_card_number, same
from fuzz.target import Housed
from shop import HASHED, PROGRAMME, TID, Shop, payment

from vafa.app import questions
from vafa.app.cable import request_in
from vafa.app.control import Control
from vafa.app.desk import Desk, Seller
from vafa.app.introduction import Introduction
from vafa.app.live import LaneState, Live
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.app.status import Facts
from vafa.app.told_again import ToldAgain
from vafa.model.errors import Refused
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.model.payment import Scheme
from vafa.ports.clock import ManualClock
from vafa.ports.line_splitter import LineSplitter

LOCAL_TID = "C0000302"
PHONE, PAN = "09121236789", "6219861034529007"
SECRET = "s3cret-of-this-device"  # noqa: S105 - of a made-up device
NOW_MS = 1_767_000_000_000
REWARDS = """
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
rial = 10
points = 1
min_points = 1
max_points = 1000
[offer.lunch]
name_fa = "ناهار"
percent_off = 10
max_discount = 300000
valid_days = 30
[segment.all]
name_fa = "همه"
balance_at_least = 1
"""
_ROWS_SEEN = "SELECT seq, kind, body FROM journal WHERE seq > ? ORDER BY seq"
# What may write: the requests of people and programs that change something.
LOCAL_WRITES = frozenset(
    {
        "payment",
        "sell",
        "void",
        "refund",
        "member",
        "profile",
        "hold",
        "capture",
        "release",
        "return",
        "balance",
        "quote",  # a hold whose time is over ends when its points are asked for
    }
)
CONTROL_WRITES = frozenset(
    {
        "member add", "member bind", "member profile", "member forget", "member merge", "member move",
        "claim",
        "sell", "undo", "adjust", "programme activate", "gap close", "record", "redeem",
        "offer give", "offer withdraw",
    }
)  # fmt: skip
WORDS = (
    b'"op":', b'"do":', b'"amount":', b"null", b"true", b"[]", b"{}", b'""', b"\\u0000", b"\\ud800",
    b"1e308", b"-0",
    b"1.5", PAN.encode(), b"6219 8610 3452 9007", PHONE.encode(), b"+989121236789", LOCAL_TID.encode(),
    b"\xff",
    "۶۲۱۹۸۶۱۰۳۴۵۲۹۰۰۷".encode(), b'"new-rial"', b'"points":', b'"member":', b'"at":', b'"id":',
    b"9999999999999",
)  # fmt: skip


class NoTerminal:
    """A seller whose terminal is off: what is fuzzed is what asks."""

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        assert 0 < amount <= 9_999_999_999_999
        raise Refused("the terminal is off")


class Counter(Housed):
    """A shop with members and sales; each input may change it, as a valid request does."""

    word_of = "op"
    writes: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(self.directory, NOW_MS, PROGRAMME + REWARDS)
        self.clock = ManualClock(NOW_MS, 1_000.0)
        self.paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", self.shop.programmes)
        sara = bytes.fromhex(self.shop.members.add(PHONE, "Sara", "test").id)
        self.shop.counter.post(payment(320_062_616_100, 9_000_000), sara)
        waits = self.shop.counter.post(payment(320_062_616_101, 5_000, card=CardHint()))
        self.claim = waits.claim or ""
        for number in range(3):
            self.shop.counter.post(payment(320_062_616_116 + number, 1_005))
        self.shop.counter.post(payment(320_062_616_200, 5_000, card=HASHED))
        self.words = WORDS

    def close(self) -> None:
        self.shop.ledger.close()
        super().close()

    def sealed(self, data: bytes, random: Random) -> bytes:
        """A whole request again, with something of the spoilt one in one of its fields."""
        asked, other = (json.loads(random.choice(self.seeds).partition(b"\t")[0]) for _ in range(2))
        start = random.randrange(len(data) + 1)
        strange = data[start : start + random.choice((1, 8, 20, 60, 400))].decode("utf-8", "ignore")
        word = random.choice(self.words).decode("utf-8", "ignore")
        name = random.choice([*list(asked)[1:] * 4, *other])
        asked[name] = random.choice((strange, word, *other.values(), 10**12, -1, None))
        return json.dumps(asked, ensure_ascii=False).encode()

    def _judged(self, answer: Callable[[], bytes], line: bytes, key: str) -> str:
        """The answer is one JSON object; only an understood request that may write has written."""
        before = self.shop.ledger.head.seq
        said = answer()
        assert b"\n" not in said
        told = json.loads(said)
        assert isinstance(told, dict)
        assert_no_card_number(told)
        self._judge_rows(before, line)
        return str(told.get(key))

    def _judge_rows(self, before: int, line: bytes) -> None:
        if self.shop.ledger.head.seq == before:
            return
        asked = json.loads(line)
        assert isinstance(asked, dict)
        assert asked.get(self.word_of) in self.writes, f"{asked.get(self.word_of)} wrote"
        rows = self.shop.ledger.read(lambda c: c.execute(_ROWS_SEEN, (before,)).fetchall())
        for _, _, body in rows:
            assert_no_card_number(msgspec.msgpack.decode(body))


class LocalProtocol(Counter):
    """Lines of the local protocol, to a real desk and a real ledger; over TCP the first line too."""

    name = "local"
    what = "the local protocol's lines, to a real desk and ledger"
    share = 25
    writes = LOCAL_WRITES

    def __init__(self) -> None:
        super().__init__()
        sellers: Mapping[str, Seller] = {TID: NoTerminal()}
        self.desk = Desk(
            self.shop.counter,
            self.shop.members,
            self.paper,
            self.clock,
            Scheme.SENDER,
            (LOCAL_TID,),
            sellers,
            ToldAgain(self.clock.monotonic),
        )
        self.introduction = Introduction(SECRET)
        asked = [*_local_requests(), *_of_slip(self.claim)]
        self.seeds = [json.dumps(each, ensure_ascii=False).encode() for each in asked]

    def judge(self, data: bytes, random: Random) -> str:
        self.clock.advance(1.0)
        self.shop.wall_ms += 1_000
        word = "empty"
        for line in _lines(data, random):
            stranger = self.introduction.turned_away(line)
            assert stranger is not None or json.loads(line)["secret"] == SECRET
            word = self._judged(lambda line=line: self.desk.answer(line), line, "answer")  # type: ignore[misc]
        return word


def _local_requests() -> list[dict[str, Any]]:
    paid = {"op": "payment", "terminal": LOCAL_TID, "ref": "p-1", "amount": 1_250}
    return [
        {"op": "hello", "client": "till", "secret": SECRET},
        {"op": "ping", "id": "7"},
        {"op": "ping", "id": f"card {PAN}"},
        {**paid, "ref": PAN, "order_id": PAN, "id": PAN},
        paid,
        {
            **paid,
            "ref": "p-2",
            "member": PHONE,
            "rrn": "320062616116",
            "paid_at": 1_767_000_000,
            "lang": "en",
        },
        {**paid, "ref": "p-3", "parts": {"tip": 50, "vat": 90}, "card": {"mask": "621986******3864"}},
        {"op": "sell", "request": "s-1", "amount": 5_000, "terminal": TID},
        {"op": "void", "terminal": LOCAL_TID, "ref": "p-1", "request": "v-1"},
        {"op": "refund", "terminal": LOCAL_TID, "ref": "p-2", "amount": 100, "request": "r-1"},
        {"op": "identify", "member": PHONE},
        {"op": "identify", "card": {"mask": "621986******3864", "sha256": "61" * 32}},
        {"op": "member", "member": PHONE, "name": "Sara"},
        {"op": "balance", "member": PHONE},
        {"op": "profile", "member": PHONE, "birthday": "31/06", "consent": True, "feedback": True},
        {"op": "quote", "member": PHONE, "amount": 100_000},
        {"op": "hold", "member": PHONE, "points": 10, "request": "h-1", "reward": "off"},
        {"op": "capture", "request": "h-1", "terminal": LOCAL_TID, "ref": "p-1"},
        {"op": "release", "request": "h-1"},
        {"op": "hold", "member": PHONE, "points": 10, "request": "h-2", "reward": "off", "amount": 100_000},
        {"op": "capture", "request": "h-2", "applied": 50},
        {"op": "return", "redemption": "h-2", "request": "b-1", "points": 2},
        {"op": "hold", "member": PHONE, "request": "h-3", "offer": "0123456789abcdef", "amount": 100_000},
    ]


def _of_slip(claim: str) -> list[dict[str, Any]]:
    """What a cashier asks who has a slip before him, and no phone."""
    return [
        {"op": "quote", "claim": claim, "amount": 100_000},
        {"op": "hold", "claim": claim, "request": "h-4", "reward": "off", "amount": 100_000, "points": 3},
    ]


def _lines(data: bytes, random: Random) -> list[bytes]:
    """Lines as the server cuts them, whole and in pieces alike; at most a few of one input."""
    whole, pieces, at = LineSplitter(2_048), LineSplitter(2_048), 0
    found, split = whole.feed(data + b"\n"), list[bytes | None]()
    while at <= len(data):
        step = random.choice((1, 5, 100, 2_000))
        split += pieces.feed((data + b"\n")[at : at + step])
        at += step
    same(split, found, "another split")
    return [line for line in found[:4] if line is not None]


class Cable(LocalProtocol):
    """The local protocol over a serial cable: noise gets no answer, a line with a check must keep it."""

    name = "cable"
    what = "lines of a serial cable: noise before and behind, with and without CRC-32"
    share = 120

    def __init__(self) -> None:
        super().__init__()
        plain = list(self.seeds)
        self.seeds = [*plain, *(_checked(line) for line in plain), b"\x00\xff~" + _checked(plain[2])]

    def sealed(self, data: bytes, random: Random) -> bytes:
        return _checked(data.rpartition(b"\t")[0] or data)

    def judge(self, data: bytes, random: Random) -> str:
        told = request_in(data)
        if told is None:
            return "noise"
        assert isinstance(json.loads(told.request), dict), "noise taken for a request"
        if told.checked:
            assert data.rstrip().endswith(b"\t" + data.rstrip()[-8:])
            assert int(data.rstrip()[-8:], 16) == crc32(told.request), "a line whose check does not hold"
        if told.ours or random.random() > 0.1:  # the desk is fuzzed as `local`
            return "checked" if told.checked else "request"
        return self._judged(lambda: self.desk.answer(told.request), told.request, "answer")


def _checked(line: bytes) -> bytes:
    return line + b"\t%08x" % crc32(line)


class ControlSocket(Counter):
    """Questions of support and of the command line."""

    name = "control"
    what = "the control socket's questions, to a real ledger"
    share = 20
    word_of = "do"
    writes = CONTROL_WRITES

    def __init__(self) -> None:
        super().__init__()
        self.control = self._control()
        asked = [
            *_questions(),
            *_of_people(),
            *_of_offers(),
            {"do": "claim", "code": self.claim, "phone": PHONE},
        ]
        self.seeds = [json.dumps(each, ensure_ascii=False).encode() for each in asked]
        self.words = (*WORDS, *(json.dumps(each["do"]).encode() for each in _questions()))

    def _control(self) -> Control:
        line = (TID, "ecr", "tcp:x:1")
        unknown: dict[type[Any], Any] = {}
        for kind in msgspec.inspect.type_info(questions.AnyQuestion).types:  # type: ignore[attr-defined]
            if kind.cls.__module__.endswith(("hub_questions", "sync_questions")):
                unknown[kind.cls] = _no_hub
        return Control(
            self.shop.ledger, self.shop.counter, self.shop.members, self.paper, self.shop.programmes,
            {TID: NoTerminal()}, lambda: Live("0.1.0", 1, 60.0, (LaneState(*line, "open", "idle", 1.0),)), {},
            lambda: Facts("Kafe Negin", "Asia/Tehran", (line,)), self.clock,
            lambda name, _number, _page: name or "counter", unknown,
        )  # fmt: skip

    def judge(self, data: bytes, random: Random) -> str:
        self.shop.wall_ms += 1_000
        self.clock.advance(1.0)
        line = data.replace(b"\n", b" ")
        return self._judged(lambda: self.control.answer(line), line, "is")


def _no_hub(_question: Any, _by: str) -> Any:
    raise Refused("there is no hub here")


def _questions() -> list[dict[str, Any]]:
    return [
        {"do": "status"},
        {"do": "why", "sale": "1-1-3"},
        {"do": "why", "sale": "320062616116"},
        {"do": "why", "sale": PAN},
        {"do": "member add", "phone": "09121230001", "name": f"Sara {PAN}"},
        {"do": "why", "sale": "1005@18:30"},
        {"do": "explain", "sale": "1-1-4", "lang": "fa"},
        {"do": "receipt", "sale": "1-1-3"},
        {"do": "print", "sale": "1-1-3", "printer": "counter", "lang": "en"},
        {"do": "journal", "after": 0, "kinds": ["award"], "limit": 20},
        {"do": "member add", "phone": PHONE, "name": "Sara"},
        {"do": "member show", "who": PHONE},
        {"do": "member find", "text": "6789"},
        {"do": "member bind", "phone": PHONE, "sale": "1-1-3", "shared": False},
        {"do": "member profile", "phone": PHONE, "name": "Sara"},
        {"do": "member merge", "phone": PHONE, "into": "09121230000"},
        {"do": "claim", "code": "482917", "phone": PHONE},
        {"do": "sell", "request": "s-1", "amount": 5_000, "terminal": TID},
        {"do": "undo", "kind": "void", "sale": "1-1-3", "request": "u-1", "only_show": True},
        {"do": "adjust", "phone": PHONE, "points": -5, "why": "a mistake", "request": "a-1"},
        {"do": "programme show"},
        {"do": "programme activate", "document": PROGRAMME + REWARDS},
        {"do": "gap list"},
        {"do": "gap close", "gap": "1-1-9", "why": "counted by hand"},
        {
            "do": "record",
            "terminal": TID,
            "amount": 1_000,
            "rrn": "320062616999",
            "why": "paper",
            "post": True,
        },
        {"do": "redeem", "ask": {"op": "quote", "member": PHONE, "amount": 10_000}},
    ]


def _of_people() -> list[dict[str, Any]]:
    return [
        {"do": "member forget", "phone": "09121230000", "why": "asked for it", "only_show": True},
        {"do": "member forget", "phone": "09121230001", "why": "asked for it"},
        {"do": "member move", "sale": "1-1-3", "phone": PHONE, "why": "hers"},
        {"do": "sync log", "limit": 5},
        {"do": "sync now", "within_s": 1},
    ]


def _of_offers() -> list[dict[str, Any]]:
    own = {"name_fa": "هدیه", "name_en": "a gift", "percent_off": 10}
    return [
        {"do": "offer give", "request": "o-1", "phone": PHONE, "template": "lunch", "why": "a guest"},
        {"do": "offer give", "request": "o-2", "phone": PHONE, "template": "own", "own": own, "days": 5},
        {"do": "offer give", "request": "o-3", "segment": "all", "template": "lunch", "after": ""},
        {"do": "offer list", "who": PHONE},
        {"do": "offer show", "offer": "0123456789abcdef"},
        {"do": "offer withdraw", "offer": "0123", "why": "a mistake", "only_show": True},
    ]
