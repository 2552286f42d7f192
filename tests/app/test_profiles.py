"""What members tell of themselves: each asked for once, sealed or keyed, and gone when they are forgotten."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import HASHED, Shop, payment

from vafa.app.member_view import MemberView
from vafa.app.profiles import Profiles, Telling
from vafa.books.rows import MemberRow, MemberState, PersonRow
from vafa.ledger import reads
from vafa.ledger.tables import find_row
from vafa.model import events, standing
from vafa.model.calendar import birthday, jalali_month_days
from vafa.model.errors import NotFound, Refused
from vafa.model.events import Kind

PHONE, OTHER = "09121236789", "09351112233"


def tell(shop: Shop, member: bytes, **said: object) -> MemberView:
    return Profiles(shop.members).tell(member, Telling(**said), "test")  # type: ignore[arg-type]


def unasked(view: MemberView) -> tuple[str, ...]:
    assert view.person is not None
    return view.person.unasked


def profiles_posted(shop: Shop) -> int:
    return shop.ledger.read(lambda c: len(list(reads.entries(c, 0, (Kind.PROFILE,)))))


def test_each_thing_is_asked_for_once_also_when_the_answer_was_nothing(shop: Shop) -> None:
    member = shop.joined(PHONE)
    assert unasked(shop.members.show(member)) == ("name", "birthday", "consent", "referrer")
    assert unasked(tell(shop, member, name="مینا", birthday="")) == ("consent", "referrer")
    assert unasked(tell(shop, member, consent=False, referrer="")) == ()
    shop.restart()
    view = shop.members.show(member)
    assert (view.name, unasked(view)) == ("مینا", ())
    assert shop.verified().bad == ()


def test_a_name_given_on_joining_is_not_asked_again(shop: Shop) -> None:
    assert unasked(shop.members.show(shop.joined(PHONE, name="مینا"))) == ("birthday", "consent", "referrer")


def test_the_first_yes_to_messages_is_kept_with_its_date_and_a_no_takes_it_back(shop: Shop) -> None:
    member = shop.joined(PHONE)
    shop.wall_ms = 1_000_000_000
    tell(shop, member, consent=True)
    shop.wall_ms = 2_000_000_000
    view = tell(shop, member, consent=True)
    assert view.person is not None
    assert view.person.consent_at == 1_000_000
    view = tell(shop, member, consent=False)
    assert view.person is not None
    assert view.person.consent_at is None


def test_the_same_told_again_writes_nothing(shop: Shop) -> None:
    member = shop.joined(PHONE)
    for _ in range(2):
        tell(shop, member, name="مینا", birthday="31/06", consent=True)
    assert profiles_posted(shop) == 1
    assert shop.verified().bad == ()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31/06", (6, 31)), ("۳۰/۱۲", (12, 30)), ("30/12", (12, 30)), ("1403/12/30", (12, 30)),
        ("1/1", (1, 1)), ("1370/6/31", (6, 31)), ("31/07", None), ("31/12", None), ("1404/12/30", None),
        ("0/1", None), ("13/13", None), ("06/1370", None), ("x", None),
    ],
)  # fmt: skip
def test_a_birthday_is_a_jalali_day_also_30_esfand(text: str, day: tuple[int, int] | None) -> None:
    assert birthday(text) == day


@given(st.integers(1, 12), st.integers(0, 40))
def test_a_birthday_is_a_day_that_some_year_has(month: int, day: int) -> None:
    longest = max(jalali_month_days(year, month) for year in (1403, 1404))
    assert (birthday(f"{day}/{month}") is not None) == (1 <= day <= longest)


def test_what_is_no_day_is_refused_and_nothing_of_the_telling_is_kept(shop: Shop) -> None:
    member = shop.joined(PHONE)
    with pytest.raises(Refused, match="no day of the Jalali"):
        tell(shop, member, birthday="31/07", consent=True)
    assert profiles_posted(shop) == 0


def test_a_referrer_is_another_member_and_told_once(shop: Shop) -> None:
    member, sender = shop.joined(PHONE), shop.joined(OTHER)
    for phone, why in (
        (PHONE, "nobody sends themselves"),
        ("09350000000", "no member here"),
        ("12", "no mobile"),
    ):
        with pytest.raises(Refused, match=why):
            tell(shop, member, referrer=phone)
    view = tell(shop, member, referrer=OTHER)
    assert view.person is not None
    assert view.person.referrer == sender.hex()
    shop.joined("09350000001")
    with pytest.raises(Refused, match="told before"):
        tell(shop, member, referrer="09350000001")


def test_birthday_and_referrer_reach_the_rules(shop: Shop) -> None:
    member, sender = shop.joined(PHONE), shop.joined(OTHER)
    tell(shop, member, birthday="30/12", referrer=OTHER, feedback=True)
    row = shop.ledger.read(lambda c: find_row(c, MemberRow, (member,)))
    assert row is not None
    known = standing.unpack(row.standing)
    assert (known.birthday, known.referrer) == ((12, 30), sender)
    assert known.feedback_at == shop.wall_ms // 1000


def test_a_forgotten_person_leaves_no_byte_of_what_was_sealed(shop: Shop, tmp_path: Path) -> None:
    member = shop.joined(PHONE, name="مینا رضایی")
    outcome = shop.counter.post(payment(card=HASHED), member)
    shop.members.bind(member, outcome.number, "test")
    tell(shop, member, name="مینا کریمی", birthday="31/06", consent=True)
    sealed = shop.ledger.read(lambda c: c.execute("SELECT wrapped_key, phone, name FROM secret").fetchone())
    assert _found_in(shop.directory, sealed) == 3
    forgotten = Profiles(shop.members).forget(member, "asked for it", "test")
    assert (forgotten.ids, forgotten.cards, forgotten.points) == (1, 1, 10)
    assert _found_in(shop.directory, sealed) == 0
    row = shop.ledger.read(lambda c: find_row(c, MemberRow, (member,)))
    assert row is not None
    assert (row.state, row.last4, row.balance) == (MemberState.FORGOTTEN, "", 10)
    assert standing.unpack(row.standing).birthday is None
    assert shop.ledger.read(lambda c: find_row(c, PersonRow, (member,))) is None
    with pytest.raises(NotFound):
        shop.members.known_id(PHONE)
    assert shop.counter.post(payment(320062616117, card=HASHED)).result == "waiting"
    assert shop.verified().bad == ()


def _found_in(directory: Path, sealed: tuple[bytes, ...]) -> int:
    files = [each.read_bytes() for each in directory.glob("ledger.db*") if each.suffix != ".lock"]
    return sum(any(part in content for content in files) for part in sealed)


def test_who_comes_again_with_the_phone_finds_the_points(shop: Shop) -> None:
    member = shop.joined(PHONE, name="مینا")
    shop.counter.post(payment(), member)
    Profiles(shop.members).forget(member, "asked for it", "test")
    view = shop.members.add(PHONE, "", "test")
    assert (view.created, view.id, view.balance, view.name) == (True, member.hex(), 10, "")
    assert unasked(view) == ("name", "birthday", "consent", "referrer")
    assert shop.verified().bad == ()


def test_forgetting_can_be_looked_at_first(shop: Shop) -> None:
    member = shop.joined(PHONE)
    head = shop.ledger.head.seq
    assert Profiles(shop.members).foreseen(member).ids == 1
    assert shop.ledger.head.seq == head


def test_a_name_told_in_a_row_of_before_changes_no_table(shop: Shop) -> None:
    """Rows written before people had a table of their own verify as they did."""
    member = shop.joined(PHONE)
    shop.ledger.write(lambda tx: tx.post(events.Profile(member, 1, None, b"", None, "test")))
    assert shop.ledger.read(lambda c: find_row(c, PersonRow, (member,))) is None
    assert shop.verified().bad == ()
