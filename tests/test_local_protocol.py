"""docs/local-protocol.*: the schema is the code's, and each example is what a Desk really answers.

After a change, `python tests/test_local_protocol.py` writes the schema and the examples' answers anew.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from desk_bench import DeskBench, conforms, without_chance
from shop import PROGRAMME

from vafa.app import messages
from vafa.app.desk import IDENTIFIED_MAX, IDENTIFIED_S, refusal
from vafa.app.local_lines import PORT_LIMITS
from vafa.app.offering import Offering
from vafa.app.offering import Wish as Give
from vafa.app.selling import QUEUE_MAX, RESOLVE_WAIT_S
from vafa.club.offers import Brings
from vafa.club.programme import parse
from vafa.model import events
from vafa.model.pan import card_hint
from vafa.ports.line_server import Limits

DOCS = Path(__file__).parents[1] / "docs"
PAGE, SCHEMA = DOCS / "local-protocol.md", DOCS / "local-protocol.schema.json"
EXCHANGE = re.compile(r"^> (.*)\n< (.*)$", re.MULTILINE)
# What the terminal does at these sales of the examples.
OFFERED = '"id": "before the bill"'  # when somebody has given the member offers
DECLINED, LOST = '"bill-1043"', '"bill-1044"'
REWARDS = """
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
name_en = "Money off"
points = 1
rial = 10
[reward.tea]
kind = "free-item"
name_fa = "چای"
name_en = "Tea"
points = 500
cost = 50_000
"""
FAMILY = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"  # the card of two members


def rewritten(page: str, directory: Path) -> str:
    """The page with the answers a Desk gives to its requests, in their order."""
    with pytest.MonkeyPatch.context() as patch:
        without_chance(patch)
        desk = DeskBench(directory)
        try:
            return EXCHANGE.sub(lambda found: _exchanged(desk, found.group(1)), page)
        finally:
            desk.close()


def _exchanged(desk: DeskBench, request: str) -> str:
    if DECLINED in request:
        desk.terminal.next("decline", code="51", text="موجودی کافی نیست")
    if FAMILY in request:
        share(desk)
    if OFFERED in request:
        offered(desk)
    if '"op": "quote"' in request:
        desk.shop.programmes.activate(parse(PROGRAMME + REWARDS), None)
    desk.terminal.fault("silence-after-request", int(LOST in request))
    return f"> {request}\n< {desk.desk.answer(request.encode()).decode()}"


def offered(desk: DeskBench) -> None:
    """The member has two offers, as `vafa offer give` makes them."""
    giving = Offering(desk.shop.ledger, desk.shop.programmes)
    member = desk.shop.members.known_id("09121236789")
    for request, what in (
        ("1", Brings(name="offer", fa="با پوزش از شما", en="Apologies", discount=500, at_least=1_000)),
        ("2", Brings(name="offer", fa="دو برابر امتیاز", en="Double points", extra=100)),
    ):
        giving.give(member, Give(request, "", what, 7, "", "", "test"))


def share(desk: DeskBench) -> None:
    """Two members have the family's card, as `vafa member bind --shared` makes it."""
    for phone, name in (("09121236789", ""), ("09351112233", "رضا رضایی")):
        member = bytes.fromhex(desk.shop.members.add(phone, name, "test").id)
        token = desk.shop.tokens.card_tokens(card_hint("", bytes.fromhex(FAMILY)))[0]
        desk.shop.ledger.write(lambda tx, m=member: tx.post(events.Bind(m, token, "test")))  # type: ignore[misc]  # noqa: B023


def exchanges() -> Iterator[tuple[Any, Any]]:
    for request, answer in EXCHANGE.findall(PAGE.read_text()):
        yield json.loads(request), json.loads(answer)


def test_the_published_schema_is_the_code_s() -> None:
    assert SCHEMA.read_bytes() == messages.schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(messages.schema()))


def test_each_example_gets_the_answer_the_page_shows(tmp_path: Path) -> None:
    assert rewritten(PAGE.read_text(), tmp_path) == PAGE.read_text()


def test_an_example_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    planted = PAGE.read_text().replace('"points":125', '"points":126', 1)
    assert planted != PAGE.read_text()
    assert rewritten(planted, tmp_path) == PAGE.read_text()


def test_every_message_has_an_example() -> None:
    shown = {request["op"] for request, _ in exchanges()} | {answer["answer"] for _, answer in exchanges()}
    every = {message.__struct_config__.tag for message in _members(messages.AnyRequest | messages.AnyAnswer)}
    assert every == shown


def test_the_examples_show_each_kind_of_end() -> None:
    told = [answer for _, answer in exchanges()]
    assert {answer["outcome"] for answer in told if answer["answer"] == "sold"} >= {
        "approved", "declined", "unsure", "resolved_paid",
    }  # fmt: skip


def test_examples_fit_the_schema_both_ways() -> None:
    for request, answer in exchanges():
        assert conforms("answer", answer)
        assert conforms("request", request) == (answer.get("code") != "ASK-004")


@pytest.mark.parametrize(
    "message",
    [
        {}, {"op": "pay"}, {"op": "ping", "x": 1}, {"op": "ping", "id": None}, {"op": "balance"},
        {"op": "payment", "terminal": "t", "ref": "r"},
        {"op": "payment", "terminal": "t", "ref": "", "amount": 1},
        {"op": "payment", "terminal": "t", "ref": "ر", "amount": 1},
        {"op": "payment", "terminal": "t", "ref": "r" * 65, "amount": 1},
        {"op": "payment", "terminal": "t", "ref": "r", "amount": -1},
        {"op": "payment", "terminal": "t", "ref": "r", "amount": 10**13},
        {"op": "payment", "terminal": "t", "ref": "r", "amount": 1, "lang": "de"},
        {"op": "payment", "terminal": "t", "ref": "r", "amount": 1, "card": {"pan": "x"}},
        {"op": "sell", "request": "r", "amount": 0},
    ],
)  # fmt: skip
def test_what_the_schema_forbids_the_desk_refuses(tmp_path: Path, message: dict[str, Any]) -> None:
    desk = DeskBench(tmp_path)
    assert not conforms("request", message)
    assert desk.ask(**message)["code"] == "ASK-004"
    desk.close()


@pytest.mark.parametrize(
    ("code", "shown"),
    [("SRV-001", "ASK-005"), ("SRV-002", "ASK-006"), ("SRV-003", "VAFA-000")],
)
def test_what_the_socket_itself_refuses_is_a_failure_of_the_protocol(code: str, shown: str) -> None:
    answer = json.loads(refusal(code, "a reason"))
    assert conforms("answer", answer)
    assert answer["code"] == shown


def test_the_page_tells_the_limits_of_the_code() -> None:
    page, limits = PAGE.read_text(), Limits()
    for told in (
        f"| one line | {limits.line_bytes:,} bytes |",
        f"| connections | {limits.connections} in all, {limits.connections_per_process} a process |",
        f"| {limits.burst_requests} at once, then {limits.requests_per_s:g} a second |",
        f"| taking an answer | {limits.write_s:g} seconds |",
        f"| connections over TCP | {PORT_LIMITS.connections} in all |",
        f"| the first line over TCP | within {PORT_LIMITS.first_line_s:g} seconds |",
        f"| sales waiting for one terminal | {QUEUE_MAX} |",
        f"after {RESOLVE_WAIT_S:g} seconds at most",
        f"| identified customers not yet served | {IDENTIFIED_MAX:,} |",
        f"good within {IDENTIFIED_S} seconds",
    ):
        assert told in page


def _members(union: Any) -> Iterator[Any]:
    yield from union.__args__


if __name__ == "__main__":
    SCHEMA.write_bytes(messages.schema())
    with tempfile.TemporaryDirectory() as scratch:
        PAGE.write_text(rewritten(PAGE.read_text(), Path(scratch)))
