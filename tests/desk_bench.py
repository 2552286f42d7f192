"""A Desk over the small shop and a lane of lane_bench.py: line in, line out, nothing random."""

import json
import secrets
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lane_bench import Bench
from shop import TID

from vafa.app import desk, messages, outcome, redeem_reads, returning, undo
from vafa.app.desk import Desk
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd, doubtful
from vafa.app.told_again import ToldAgain
from vafa.model.events import SaleOutcome
from vafa.model.money import Currency
from vafa.model.payment import Scheme

LOCAL_TID = "40217736"
TICKET = "5f0c3a9e1b7d4426"
_SCHEMA = json.loads(messages.schema())


def conforms(kind: str, message: Any) -> bool:
    """True when the published schema allows `message` as a 'request' or an 'answer'."""
    schema = {"$defs": _SCHEMA["$defs"], **_SCHEMA["properties"][kind]}
    return bool(jsonschema.Draft202012Validator(schema).is_valid(message))


class LaneSeller:
    """The lane's `sell`, with the lane stepped here instead of in its thread."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        known = self._bench.shop.sales.known(TID, request)
        if known is not None:
            if known.ended in (None, SaleOutcome.UNSURE):
                self._bench.run_for(30)
            return self._bench.lane.sell(request, amount, member, currency)
        work = self._bench.queue(request, amount, member, currency)
        self._bench.run(lambda: work.ended.is_set() or work.in_doubt.is_set())
        if work.error is not None:
            raise work.error
        if work.end is None:
            assert work.asked is not None
            return doubtful(work.asked)
        return work.end


class DeskBench:
    """`ask(op=..., ...)` sends one request and gives the answer as a dictionary; `line` gives it as bytes.

    All that goes through is held against the published schema.
    """

    def __init__(self, directory: Path, scheme: Scheme = Scheme.SENDER) -> None:
        self.bench = Bench(directory, poll=False)
        self.shop, self.clock, self.terminal = self.bench.shop, self.bench.clock, self.bench.terminal
        self.scheme = scheme
        self.open()

    def open(self) -> None:
        self.told_again = ToldAgain(self.clock.monotonic)
        paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", self.shop.programmes)
        self.desk = Desk(
            self.shop.counter, self.shop.members, paper, self.clock, self.scheme, (LOCAL_TID,),
            {TID: LaneSeller(self.bench)},
            self.told_again,
        )  # fmt: skip

    def restart(self) -> None:
        self.bench.restart()
        self.open()

    def line(self, **request: Any) -> bytes:
        answer = self.desk.answer(json.dumps(request).encode())
        told = json.loads(answer)
        assert conforms("answer", told), told
        assert conforms("request", request) == (told.get("code") != "ASK-004"), (request, told)
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.line(**request))
        return answer

    def pay(self, ref: str = "p-1", amount: int = 1_250, **more: Any) -> dict[str, Any]:
        return self.ask(op="payment", terminal=LOCAL_TID, ref=ref, amount=amount, **more)

    def close(self) -> None:
        self.bench.close()


def without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim codes in a row, one ticket, one check code, one version, so that answers can be written down."""
    codes = count(482_917, 1_111)
    monkeypatch.setattr(secrets, "randbelow", lambda limit: next(codes) % limit)
    monkeypatch.setattr(secrets, "token_hex", lambda size: TICKET)
    monkeypatch.setattr(desk, "__version__", "0.1.0")
    for made in (outcome, undo, redeem_reads, returning):  # it moves with every change of the books
        monkeypatch.setattr(made, "check_code", lambda _hash: "6650")
