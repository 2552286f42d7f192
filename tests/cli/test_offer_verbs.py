"""`vafa offer`: given, listed, shown, withdrawn, as support types it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from device import Device, Run
from shop import payment
from till import OTHER, PHONE, RULES

from vafa.club.programme import parse


@pytest.fixture
def device(device: Device) -> Device:
    """Two members; rules with offers and a segment."""
    device.shop.programmes.activate(parse(RULES), None)
    for phone in (PHONE, OTHER):
        device.shop.members.add(phone, "", "test")
    return device


def offers_of(device: Device, phone: str) -> int:
    member = bytes.fromhex(device.shop.members.find(phone)[0].id)
    rows = device.shop.ledger.read(
        lambda c: c.execute("SELECT offers FROM member WHERE id = ?", (member,)).fetchall()
    )
    return int(rows[0][0])


def test_an_offer_from_giving_to_withdrawing(device: Device, vafa: Run) -> None:
    with device.up():
        shown = vafa("offer", "give", PHONE, "double", "--why", "cold soup")
        assert shown.code == 2
        assert "Nothing was changed" in shown.err
        assert "double  \u2068دو برابر امتیاز\u2069 (Double points): 100 % more points" in shown.out
        assert offers_of(device, PHONE) == 0
        done = vafa("offer", "give", PHONE, "double", "--why", "cold soup", "--yes", "--request", "g-1")
        assert done.code == 0
        assert "good from 2025-12-29 12:50:00 through 2026-01-12" in done.out
        assert "given 2025-12-29 12:50:00 by" in done.out
        assert "cold soup" in done.out
        again = vafa("offer", "give", PHONE, "double", "--why", "cold soup", "--yes", "--request", "g-1")
        assert again.out.startswith("this request gave it before; nothing changed")
        (offer,) = json.loads(vafa("offer", "list", PHONE, "--json").out)["offers"]
        assert (offer["state"], offer["name"]) == ("open", "double")
        assert f"offer {offer['offer']}  double: 100 % more points, through 2026-01-12" in (
            vafa("member", "show", PHONE).out
        )
        held = vafa("offer", "withdraw", offer["offer"][:6], "--why", "given twice")
        assert (held.code, offers_of(device, PHONE)) == (2, 1)
        gone = vafa("offer", "withdraw", offer["offer"][:6], "--why", "given twice", "--yes")
        assert (gone.code, offers_of(device, PHONE)) == (0, 0)
        assert f"offer {offer['offer']}  withdrawn  1-1-" in gone.out
        assert "it was withdrawn" in vafa("offer", "withdraw", offer["offer"], "--why", "x", "--yes").out
        assert vafa("offer", "list").out == "no open offers\n"
    down = vafa("offer", "list", PHONE)
    assert (down.code, "withdrawn" in down.out) == (0, True)
    assert "read from the ledger" in down.err
    assert "withdrawn" in vafa("offer", "show", offer["offer"][:6]).out
    assert vafa("offer", "give", PHONE, "double", "--yes").code == 3


def test_an_offer_of_one_s_own_is_used_and_explained(device: Device, vafa: Run) -> None:
    member = bytes.fromhex(device.shop.members.find(PHONE)[0].id)
    with device.up():
        own = ("--points", "50", "--days", "7", "--name-fa", "هدیه", "--name-en", "Gift", "--yes")
        assert vafa("offer", "give", PHONE, *own).code == 0
        sale = device.shop.counter.post(payment(1, 1_000, paid_at=None), member)
        assert sale.points == 150
        explained = vafa("explain", sale.number, "--lang", "en").out
        assert "offer Gift: 50 points more" in explained
        assert "with bonuses: 100 × 1 + 50 = 150 points" in explained
        assert "پیشنهاد هدیه: ۵۰ امتیاز بیشتر" in vafa("explain", sale.number, "--lang", "fa").out
        assert "offer used" in vafa("why", sale.number).out
        slip = vafa("receipt", "show", sale.number, "--lang", "en").out
        assert "Offer used: Gift" in slip
    assert vafa("verify", "--explain").code == 0


def test_a_segment_and_a_list_get_theirs_once(device: Device, vafa: Run, tmp_path: Path) -> None:
    member = bytes.fromhex(device.shop.members.find(PHONE)[0].id)
    for number in (1, 2):
        device.shop.counter.post(payment(number, 1_000, paid_at=None), member)
    phones = tmp_path / "phones"
    phones.write_text(f"{PHONE}  # the first\n\n{OTHER}\n{PHONE}\n09350000000\n")
    with device.up():
        give = ("offer", "give", "--segment", "regulars", "double", "--request", "s-1")
        assert vafa(*give).out == "1 offers would be given\n"
        assert vafa(*give, "--yes").out == "1 offers given\n"
        assert "1 members had it by this request already" in vafa(*give, "--yes").out
        listed = vafa("offer", "give", "--list", str(phones), "sorry", "--request", "l-1", "--yes").out
        assert "2 offers given\n" in listed
        assert "phone 3 of the list: this phone belongs to no member here" in listed
        assert "0935" not in listed
    assert (offers_of(device, PHONE), offers_of(device, OTHER)) == (2, 1)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((PHONE, "boat"), 1, "the rules in force have no offer 'boat'"),
        ((PHONE,), 2, "say which offer"),
        ((), 2, "to whom?"),
        ((PHONE, "double", "--points", "5", "--name-fa", "x"), 2, "say which offer"),
        ((PHONE, "--points", "5", "--days", "3"), 2, "needs --name-fa"),
        ((PHONE, "--points", "5", "--name-fa", "x"), 1, "good for 1 to 400 days"),
        ((PHONE, "--points", "5", "--discount", "9", "--days", "3", "--name-fa", "x"), 1, "not both"),
        ((PHONE, "double", "--from", "1399/01/01"), 1, "begins today or later"),
        ((PHONE, "double", "--from", "1405/13/01"), 1, "there is no day"),
        (("--segment", "strangers", "double"), 1, "no segment 'strangers'"),
        (("--segment", "regulars", PHONE, "double"), 2, "give no PHONE"),
        (("09350000000", "double"), 1, "belongs to no member here"),
    ],
)
def test_what_cannot_be_given_says_why(
    device: Device, vafa: Run, words: tuple[str, ...], code: int, why: str
) -> None:
    with device.up():
        ran = vafa("offer", "give", *words, "--yes")
        assert (ran.code, why in ran.err) == (code, True), ran.err


def test_a_discount_is_quoted_held_and_captured_by_the_redeem_verbs(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("offer", "give", PHONE, "sorry", "--yes")
        (offer,) = json.loads(vafa("offer", "list", PHONE, "--json").out)["offers"]
        quoted = vafa("redeem", "quote", PHONE, "--bill", "2000").out
        assert f"offer {offer['offer']}" in quoted
        assert "500 rial off" in quoted
        held = vafa("redeem", "hold", PHONE, "--offer", offer["offer"], "--bill", "2000", "--request", "h-1")
        assert held.out.startswith("held  1-1-")
        assert "an offer for با پوزش" in held.out
        done = vafa("redeem", "capture", "h-1")
        assert "taken off: 500 rial" in done.out
        assert "used" in vafa("offer", "list", PHONE).out
        neither = vafa("redeem", "hold", PHONE, "--bill", "2000")
        assert (neither.code, "a REWARD or an --offer" in neither.err) == (2, True)
        part = vafa("redeem", "hold", PHONE, "--offer", offer["offer"][:8], "--bill", "2000")
        assert (part.code, "the whole id of the offer" in part.err) == (2, True)


def test_the_tab_key_offers_templates_and_segments(device: Device) -> None:
    from vafa.cli.verbs import vafa as group

    environment = {
        "_VAFA_COMPLETE": "bash_complete",
        "COMP_CWORD": "4",
        "VAFA_CONFIG": str(device.config),
    }
    for words, offered in (
        (f"vafa offer give {PHONE} ", "double"),
        ("vafa offer give --segment ", "regulars"),
    ):
        ran = CliRunner().invoke(
            group,
            prog_name="vafa",
            env=environment | {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))},
        )
        assert offered in ran.output


def test_the_report_counts_open_offers_and_takes_none_for_a_redemption_of_points(
    device: Device, vafa: Run
) -> None:
    with device.up():
        for request in ("r-1", "r-2"):
            vafa("offer", "give", PHONE, "sorry", "--request", request, "--yes")
        (offer, _) = json.loads(vafa("offer", "list", PHONE, "--json").out)["offers"]
        vafa("redeem", "hold", PHONE, "--offer", offer["offer"], "--bill", "2000", "--request", "h-1")
        vafa("redeem", "capture", "h-1")
    assert "single-use offers open                   1" in vafa("report", "liability").out
    told = json.loads(vafa("report", "liability", "--json").out)
    assert (told["offers"], told["ended"]) == (1, 0)


@pytest.mark.parametrize(("content", "why"), [(b"\xff\x00", "no text"), (b"# nobody\n\n", "names no phone")])
def test_a_list_that_names_nobody_says_so(
    device: Device, vafa: Run, tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "phones").write_bytes(content)
    with device.up():
        ran = vafa("offer", "give", "--list", str(tmp_path / "phones"), "double")
    assert (ran.code, why in ran.err) == (2, True)
