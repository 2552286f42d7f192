"""A Desk over the small shop and a lane of lane_bench.py: line in, line out, nothing random."""

import json
import secrets
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lane_bench import Bench
from shop import TID

from vafa.app import desk
from vafa.app.desk import Desk
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.model.payment import Scheme

LOCAL_TID = "40217736"


class LaneSeller:
    """The lane's `sell`, with the lane stepped here instead of in its thread."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def sell(self, request: str, amount: int, member: bytes) -> SaleEnd:
        known = self._bench.shop.sales.known(TID, request)
        if known is not None:
            return self._bench.lane.sell(request, amount, member)
        return self._bench.sell(request, amount, member)


class DeskBench:
    """`ask(op=..., ...)` sends one request and gives the answer as a dictionary; `line` gives it as bytes."""

    def __init__(self, directory: Path, scheme: Scheme = Scheme.SENDER) -> None:
        self.bench = Bench(directory)
        self.shop, self.clock, self.terminal = self.bench.shop, self.bench.clock, self.bench.terminal
        self.scheme = scheme
        self.open()

    def open(self) -> None:
        paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", self.shop.programmes)
        self.desk = Desk(
            self.shop.counter, self.shop.members, paper, self.clock, self.scheme, (LOCAL_TID,),
            {TID: LaneSeller(self.bench)},
        )  # fmt: skip

    def restart(self) -> None:
        self.bench.restart()
        self.open()

    def line(self, **request: Any) -> bytes:
        return self.desk.answer(json.dumps(request).encode())

    def ask(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.line(**request))
        return answer

    def pay(self, ref: str = "p-1", amount: int = 1_250, **more: Any) -> dict[str, Any]:
        return self.ask(op="payment", terminal=LOCAL_TID, ref=ref, amount=amount, **more)

    def close(self) -> None:
        self.bench.close()


def without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim codes and tickets in a row, one version, so that answers can be written down."""
    codes, tickets = count(482_917, 1_111), count(1)
    monkeypatch.setattr(secrets, "randbelow", lambda limit: next(codes) % limit)
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"{next(tickets):0{2 * size}x}")
    monkeypatch.setattr(desk, "__version__", "0.1.0")
