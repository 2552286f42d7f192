"""Sealing and migrating in processes of their own: real ones, and what becomes of ones that fail."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog
from shop import HASHED, Shop, payment

from vafa.app import aside
from vafa.app.aside import SealerAside, migrate_aside
from vafa.app.members import Members
from vafa.keys.seal import Person, SealedPerson, Sealer
from vafa.keys.sealing import Ask
from vafa.ledger.ledger import Ledger
from vafa.model.errors import KeyFileError, LedgerError, SealingFailed

KEY, OTHER_KEY = b"w" * 32, b"x" * 32
MEMBER = b"0123456789"
SARA = Person("+989121236789", "Sara")
Instead = Callable[[str], Path]


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instead:
    """Has a script run where the interpreter would; `$OUT` is a file for what it finds."""
    python = sys.executable

    def take(script: str) -> Path:
        out, program = tmp_path / "out", tmp_path / "python"
        program.write_text(f"#!/bin/bash\nOUT={out} PYTHON={python}\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        return out

    return take


def test_what_a_process_sealed_opens_here_and_the_other_way_round() -> None:
    there, here = SealerAside(KEY), Sealer(KEY)
    nameless = Person("+989351112233", "")
    both = [(MEMBER, there.sealed(MEMBER, SARA)), (MEMBER, here.sealed(MEMBER, nameless))]
    assert there.opened(both) == here.opened(both) == [SARA, nameless]


def test_one_that_does_not_open_keeps_no_other_closed() -> None:
    both = [(MEMBER, Sealer(key).sealed(MEMBER, SARA)) for key in (OTHER_KEY, KEY)]
    assert SealerAside(KEY).opened(both) == Sealer(KEY).opened(both) == [None, SARA]


def test_a_member_whose_seal_does_not_open_is_refused_with_what_to_do(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add("09121236789", "Sara", "test").id)
    with pytest.raises(KeyFileError, match="does not open with this device's key") as refused:
        Members(shop.ledger, shop.tokens, SealerAside(OTHER_KEY)).show(member)
    assert refused.value.fix == "restore the key that belongs to this ledger"


def test_a_crowd_at_the_counter_is_served_one_after_the_other() -> None:
    there = SealerAside(KEY)
    with ThreadPoolExecutor(4) as crowd:
        sealed = list(crowd.map(lambda name: there.sealed(MEMBER, Person(SARA.phone, name)), "abcd"))
    people = there.opened([(MEMBER, each) for each in sealed])
    assert [person and person.name for person in people] == ["a", "b", "c", "d"]


def test_neither_the_key_nor_a_phone_can_be_read_in_proc(instead: Instead) -> None:
    out = instead('cat /proc/$$/cmdline /proc/$$/environ > "$OUT"; exec "$PYTHON" "$@"')
    sealed = SealerAside(KEY).sealed(MEMBER, SARA)
    SealerAside(KEY).opened([(MEMBER, sealed)])
    seen = out.read_bytes()
    assert b"vafa.keys.sealing" in seen
    for secret in (KEY, KEY.hex().encode(), b"9121236789", b"Sara"):
        assert secret not in seen


def test_what_is_asked_shows_nobody_when_printed() -> None:
    sealed = Sealer(KEY).sealed(MEMBER, SARA)
    ask = Ask(KEY, [(MEMBER, SARA)], [(MEMBER, sealed)])
    assert (repr(SARA), repr(ask)) == ("Person(...)", "Ask(...)")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'ModuleNotFoundError: no such thing' >&2; exit 1", "no such thing"),
        ("kill -9 $$", "ended with -9"),
        ("echo garbage", ""),
        ("true", ""),  # an empty answer
    ],
)
def test_a_process_that_does_not_answer_is_an_error_with_its_reason(
    instead: Instead, script: str, said: str
) -> None:
    instead(script)
    with pytest.raises(SealingFailed, match="cannot be sealed or opened now") as failed:
        SealerAside(KEY).sealed(MEMBER, SARA)
    assert said in str(failed.value)
    assert "systemctl restart vafa" in failed.value.fix


def test_where_no_process_can_be_started_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SealingFailed, match="no process could be started: No such file"):
        SealerAside(KEY).sealed(MEMBER, SARA)


def test_a_process_that_hangs_is_ended(instead: Instead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "SEALING_WITHIN_S", 1.0)
    out = instead('echo $$ > "$OUT"; exec sleep 600')
    there = SealerAside(KEY)
    for _ in range(2):  # and the next one has its turn
        with pytest.raises(SealingFailed, match="no answer within"):
            there.sealed(MEMBER, SARA)
        with pytest.raises(ProcessLookupError):
            os.kill(int(out.read_text()), 0)


def test_a_process_whose_daemon_is_gone_ends() -> None:
    command = [sys.executable, "-P", "-m", "vafa.keys.sealing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as orphan:
        assert orphan.stdin is not None
        orphan.stdin.close()  # as the kernel does for one that was killed
        assert orphan.wait(30) != 0


class Failing:
    """Nobody seals, nobody opens."""

    def sealed(self, member: bytes, person: Person) -> SealedPerson:
        raise SealingFailed("no process could be started")

    def opened(self, sealed: Sequence[tuple[bytes, SealedPerson]]) -> list[Person | None]:
        raise SealingFailed("no process could be started")


@pytest.fixture
def failing(shop: Shop) -> Members:
    """The shop's members when sealing fails; Sara and a nameless one were enrolled before."""
    shop.members.add("09121236789", "Sara", "test")
    shop.members.add("09351112233", "", "test")
    return Members(shop.ledger, shop.tokens, Failing())


def test_a_member_is_shown_without_a_name_when_it_cannot_be_opened_and_the_log_says_why(
    failing: Members,
) -> None:
    with structlog.testing.capture_logs() as logs:
        found = failing.find("6789")
    assert [(each.phone, each.name) for each in found] == [("09••••••6789", "")]
    assert [(line["event"], line["code"]) for line in logs] == [("names not opened", "KEY-003")]


def test_who_gives_the_phone_needs_nothing_opened_to_see_it(failing: Members) -> None:
    sara = failing.show(failing.id_of("09121236789"), "09121236789")
    assert (sara.phone, sara.name) == ("0912•••6789", "")
    with structlog.testing.capture_logs() as logs:
        nameless = failing.show(failing.id_of("09351112233"), "۰۹۳۵ ۱۱۱ ۲۲۳۳")
    assert (nameless.phone, logs) == ("0935•••2233", [])


def test_a_claim_is_answered_also_when_the_name_cannot_be_opened(shop: Shop, failing: Members) -> None:
    code = shop.counter.post(payment(card=HASHED)).claim
    claimed = failing.claim(code, failing.id_of("09121236789"), "test")
    assert (claimed.points, claimed.member.balance) == (10, 10)


def test_a_phone_that_cannot_be_sealed_is_not_enrolled(shop: Shop, failing: Members) -> None:
    head = shop.ledger.head
    with pytest.raises(SealingFailed):
        failing.add("09120000001", "", "test")
    assert shop.ledger.head == head
    assert failing.add("09351112233", "", "test").phone == "0935•••2233"  # enrolled before: nothing to seal


def test_no_sale_waits_while_a_phone_is_sealed_or_opened(shop: Shop) -> None:
    class Slow(Sealer):
        """Sales are posted, by another thread, while it works."""

        def sealed(self, member: bytes, person: Person) -> SealedPerson:
            self.sell(1)
            return super().sealed(member, person)

        def opened(self, sealed: Sequence[tuple[bytes, SealedPerson]]) -> list[Person | None]:
            self.sell(2)
            return super().opened(sealed)

        def sell(self, rrn: int) -> None:
            lane.submit(shop.counter.post, payment(rrn)).result(timeout=10)

    with ThreadPoolExecutor(1) as lane:
        members = Members(shop.ledger, shop.tokens, Slow(KEY))
        view = members.add("09121236789", "Sara", "test")
        members.show(bytes.fromhex(view.id))
    count = shop.ledger.read(lambda c: c.execute("SELECT count(*) FROM payment").fetchone()[0])
    assert count == 2


def test_a_new_ledger_is_made_by_a_process_that_holds_its_lock_too(tmp_path: Path, instead: Instead) -> None:
    out = instead('ls -l /proc/$$/fd > "$OUT"; exec "$PYTHON" "$@"')
    directory = tmp_path / "state"
    directory.mkdir()
    ledger = Ledger(directory, lambda: 1, migrate_aside)
    ledger.close()
    assert str(directory / "ledger.lock") in out.read_text()


def test_a_ledger_that_cannot_be_made_says_why_and_can_be_made_later(
    tmp_path: Path, instead: Instead, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead("echo 'sqlite3.OperationalError: database or disk is full' >&2; exit 1")
    with pytest.raises(LedgerError, match="disk is full") as failed:
        Ledger(tmp_path, lambda: 1, migrate_aside)
    assert "check disk space" in failed.value.fix
    monkeypatch.undo()
    Ledger(tmp_path, lambda: 1, migrate_aside).close()
