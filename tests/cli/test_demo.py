"""The demo for real, once; what it compares, against doctored ledgers; and that it leaves nothing behind."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from shop import TID, Shop, payment

from vafa.cli.demo import _start_printer, summary
from vafa.cli.demo_proof import (
    CUT,
    LOST,
    Books,
    Morning,
    Proof,
    Sale,
    expected_points,
    prove,
    prove_slips,
    read_books,
    search_card,
    spellings,
)
from vafa.cli.demo_screen import Language, Screen
from vafa.cli.demo_shop import Shop as DemoShop
from vafa.cli.demo_words import PROOFS
from vafa.cli.main import main
from vafa.ledger.storage import ledger_path
from vafa.model.errors import ReceiptFault
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

DEMO = (sys.executable, "-m", "vafa.cli.main", "demo")
NUMBER = "6219861034529007"  # made up; passes Luhn
LEFT_WITHIN_S = 30


@pytest.fixture
def temporary() -> Iterator[Path]:
    """An empty directory for what the demo makes, with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="v") as name:
        yield Path(name)


def surroundings(temporary: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(temporary), "PYTHONUTF8": "1"}


def processes_of(temporary: Path) -> list[str]:
    """Processes that were started with `temporary` in their environment: the demo and its children."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:  # ended meanwhile, or not ours to see
            continue
        if f"TMPDIR={temporary}\0".encode() in environment:
            found.append(process.name)
    return found


def test_a_morning_is_proven_and_nothing_is_left_behind(temporary: Path) -> None:
    ran = subprocess.run(
        DEMO, env=surroundings(temporary), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    told, _, proven = ran.stdout.partition("What was proven")
    assert proven.count("  ✓ ") == len(PROOFS)
    assert "✗" not in ran.stdout
    assert "11 sales approved at the terminal, 11 awarded in the ledger" in proven
    assert "11 awards, 11 slips out of the receipt printer" in proven
    assert "--keep DIR keeps their pictures" in proven
    for words in ("in flight at the power cut: paid, by the terminal's journal, awarded 1 time",
                  "whose answer was lost: paid, by the terminal's journal, awarded 1 time"):  # fmt: skip
        assert words in proven
    for words in ("پس از پرداخت موفق: ۱۲۸ امتیاز", "$ vafa status\n● OK", "$ vafa verify\nOK"):
        assert words in told
    assert "\x1b" not in ran.stdout, "colour off a terminal"
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Started in the background of a script, a program and those it starts are deaf to an interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_takes_everything_down(temporary: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen((*DEMO, "--json"), env=surroundings(temporary), stdout=subprocess.PIPE)
    until = time.monotonic() + LEFT_WITHIN_S
    while not any(temporary.rglob("local.sock")) and time.monotonic() < until:
        assert demo.poll() is None, "the demo ended by itself"
        time.sleep(0.02)
    assert len(processes_of(temporary)) >= 3, "demo, terminal and daemon"
    demo.send_signal(number)
    said, _ = demo.communicate(timeout=LEFT_WITHIN_S)
    assert demo.returncode != 0
    assert said == b"", "an unfinished summary"
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_a_directory_that_holds_something_is_not_written_to(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    ran = subprocess.run(
        (*DEMO, "--keep", str(tmp_path)),
        env=surroundings(temporary),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 1
    assert "not empty" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert list(temporary.iterdir()) == []


def test_the_demo_fails_when_one_thing_does_not_hold(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    proofs = [Proof("lost", False, {"lost": 1}), Proof("doubled", True, {"doubled": 0})]
    monkeypatch.setattr("vafa.cli.demo._morning", lambda shop, screen: proofs)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(SystemExit) as end:
        main(["demo"])
    assert end.value.code == 1
    said = capfd.readouterr().out
    assert "✗ 1 lost" in said
    assert "1 of it does not hold." in said


class Pictures:
    """A printer whose slips are there already."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def pictures(self) -> list[Path]:
        return [Path("elsewhere") / name for name in self.names]

    def close(self) -> None:
        return


def test_pictures_that_are_kept_are_named_in_the_closing_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def morning(shop: DemoShop, screen: Screen) -> list[Proof]:
        monkeypatch.setattr(shop, "printer", Pictures("slip-1.png", "slip-2.png"))
        return [Proof("lost", True, {"lost": 0})]

    monkeypatch.setattr("vafa.cli.demo._morning", morning)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    with pytest.raises(SystemExit) as end:
        main(["demo", "--keep", str(tmp_path / "kept")])
    assert end.value.code == 0
    slips = tmp_path / "kept" / "slips"
    assert (
        f"The 2 slips as the receipt printer drew them: {slips / 'slip-1.png'} ... {slips / 'slip-2.png'}"
        in (capfd.readouterr().out)
    )


@pytest.mark.parametrize("language", ["en", "fa"])
def test_where_persian_type_cannot_be_set_the_demo_says_so_and_has_no_printer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], language: Language
) -> None:
    def refuse() -> None:
        raise ReceiptFault("no FriBidi", fix="sudo apt install libfribidi0")

    monkeypatch.setattr("vafa.receipt.raster._refuse_unjoined", refuse)
    shop = DemoShop(tmp_path, tmp_path)
    _start_printer(shop, Screen(language, to_see=True))
    assert shop.printer is None
    assert "[[printer]]" not in shop.config.read_text()
    assert "sudo apt install libfribidi0" in capfd.readouterr().out
    assert shop.await_slips(3) == 0


@pytest.mark.parametrize(("printed", "holds"), [(4, True), (3, False), (5, False)])
def test_a_slip_too_few_or_too_many_is_noticed(printed: int, holds: bool) -> None:
    books = Books((("1", 5), ("2", 5), ("3", 5), ("4", 5)), {}, 0)
    assert prove_slips(books, printed).holds is holds


# What is compared, on a small ledger: two customers, a decline, a lost answer and a power cut.

SALES = (
    Sale("320062616001", 105, approved=True, customer="sara"),
    Sale("320062616002", 30, approved=True, customer="reza"),
    Sale("320062616003", 45, approved=True, customer="sara"),
    Sale("", 77, approved=False, customer="sara"),
)
CARDS = {"sara": CardHint("621986", "3864", b"s" * 32), "reza": CardHint("603799", "1111", b"r" * 32)}
MORNING = Morning(
    sales=SALES,
    asked={LOST: "r1", CUT: "r2"},
    repeats=(("an answer", "an answer"),),
    unpaid=("r3",),
    killed_in="PAYING",
    exit_codes={"status": 0, "verify": 0, "why": 0, "stopped": 0},
)
AWARD_AGAIN = """
INSERT INTO journal SELECT 1000, epoch, at, kind, body, till, state, hash FROM journal WHERE kind = 13 LIMIT 1
"""
ENDS = (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID, SaleOutcome.RESOLVED_PAID, SaleOutcome.DECLINED)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The books of that morning, closed."""
    shop = Shop(tmp_path)
    for number, (sale, end) in enumerate(zip(SALES, ENDS, strict=True)):
        card = CARDS[sale.customer]
        asked = shop.sales.ask(TID, f"r{number}", sale.amount, b"", card)
        paid = payment(int(sale.rrn), sale.amount, card=card) if sale.approved else None
        shop.sales.end(asked, end, "00" if paid else "51", paid)
    shop.ledger.close()
    return ledger_path(tmp_path)


def missed(morning: Morning, books: Books) -> set[str]:
    return {proof.key for proof in prove(morning, books, 1, 10) if not proof.holds}


def test_everything_holds_for_an_honest_ledger(ledger: Path) -> None:
    assert missed(MORNING, read_books(ledger)) == set()


@pytest.mark.parametrize(
    ("doctoring", "noticed"),
    [
        ("DELETE FROM journal WHERE kind = 13 AND seq = (SELECT min(seq) FROM journal WHERE kind = 13)",
         {"heard", "lost", "amounts"}),
        (AWARD_AGAIN, {"heard", "doubled"}),
        ("UPDATE member SET balance = balance + 1", {"points"}),
        ("UPDATE member SET balance = 0", {"points"}),
        ("DELETE FROM journal WHERE kind = 11", {"lost_answer", "power_cut", "certain", "unpaid"}),
    ],
)  # fmt: skip
def test_a_doctored_ledger_is_noticed(ledger: Path, doctoring: str, noticed: set[str]) -> None:
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute(doctoring)
    connection.close()
    assert missed(MORNING, read_books(ledger)) == noticed


@pytest.mark.parametrize(
    ("otherwise", "noticed"),
    [
        ({"sales": (*SALES, Sale("320062616009", 20, approved=True, customer="reza"))},
         {"heard", "lost", "amounts", "points"}),
        ({"sales": SALES[1:]}, {"heard", "doubled", "amounts", "points"}),
        ({"asked": {LOST: "r0", CUT: "r2"}}, {"lost_answer"}),
        ({"asked": {LOST: "r1"}}, {"power_cut"}),
        ({"repeats": (("an answer", "another"),)}, {"repeats"}),
        ({"repeats": ()}, {"repeats"}),
        ({"unpaid": ("r0",)}, {"unpaid"}),
        ({"unpaid": ("never asked",)}, {"unpaid"}),
        ({"killed_in": "IDLE"}, {"in_flight"}),
        ({"exit_codes": {"verify": 1}}, {"verify"}),
    ],
)  # fmt: skip
def test_another_morning_than_the_ledgers_is_noticed(
    ledger: Path, otherwise: dict[str, object], noticed: set[str]
) -> None:
    assert missed(msgspec.structs.replace(MORNING, **otherwise), read_books(ledger)) == noticed


def test_an_empty_morning_proves_nothing(ledger: Path) -> None:
    empty = Morning((), {}, (), (), "", {})
    assert {"heard", "unpaid", "repeats", "lost_answer", "power_cut", "in_flight"} <= missed(
        empty, Books((), {}, 0)
    )


def test_the_fraction_of_each_customer_is_left_out_once() -> None:
    assert expected_points(SALES, 1, 10) == 15 + 3
    assert expected_points(SALES[:1], 1, 10) == 10


@pytest.mark.parametrize("spelling", spellings(NUMBER))
def test_a_card_number_is_found_in_every_spelling(spelling: bytes) -> None:
    assert not search_card(NUMBER, {"log": b"x" + spelling + b"y"}).holds
    assert search_card(NUMBER, {"log": b"xy"}).holds


def test_nothing_searched_proves_nothing() -> None:
    assert not search_card(NUMBER, {}).holds


def test_the_summary_is_proven_when_every_line_is() -> None:
    good, bad = Proof("lost", True, {"lost": 0}), Proof("heard", False, {"approved": 2, "awarded": 1})
    assert summary([good], 1.23) == {
        "schema": 1,
        "proven": True,
        "took_s": 1.2,
        "proofs": [{"proof": "lost", "holds": True, "lost": 0}],
    }
    assert summary([good, bad], 0)["proven"] is False
