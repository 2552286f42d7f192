"""LOYALTY.md §1: bonuses, stacking, caps and stamps, as tables a shopkeeper can read."""

from fractions import Fraction

import pytest
from club_rules import at, member, rules, sale
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.bonuses import Customer
from vafa.club.earn import left_of
from vafa.model.events import Cap, Less
from vafa.model.standing import Stamp, Standing

DOUBLE = '[bonus.double-day]\nkind = "always"\nextra = 100\n'
HALF_MORE = '[bonus.half-more]\nkind = "always"\nextra = 50\n'
SEVEN_THIRDS = "points = 7\nper = 3"  # a sale of 1 rial is worth 7/3 points


@pytest.mark.parametrize(
    ("stacking", "points"),
    [("add", 5), ("multiply", 7), ("best", 4), ("exclusive", 4)],
)
def test_a_base_of_seven_thirds_with_a_double_day_and_half_more(stacking: str, points: int) -> None:
    programme = rules(DOUBLE + HALF_MORE, f'{SEVEN_THIRDS}\nstacking = "{stacking}"')
    assert sale(programme, 1).points == points


def test_exclusive_takes_the_highest_priority_and_of_equals_the_first_name() -> None:
    text = DOUBLE + HALF_MORE + "priority = 3\n"
    programme = rules(text, f'{SEVEN_THIRDS}\nstacking = "exclusive"')
    assert [gain.id for gain in sale(programme, 1).gains] == ["half-more"]
    equal = rules(DOUBLE + HALF_MORE, f'{SEVEN_THIRDS}\nstacking = "exclusive"')
    assert [gain.id for gain in sale(equal, 1).gains] == ["double-day"]


def test_best_weighs_percent_against_points() -> None:
    text = '[bonus.a]\nkind = "always"\nextra = 50\n[bonus.b]\nkind = "always"\npoints = 30\n'
    programme = rules(text, 'points = 1\nper = 1_000\nstacking = "best"')
    assert sale(programme, 50_000).points == 50 + 30
    assert sale(programme, 100_000).points == 100 + 50


BIRTHDAY = '[bonus.b]\nkind = "birthday"\nextra = 100\n'
BORN = Standing(first_at=at("1404/01/01"), last_at=at("1405/02/01"), birthday=(2, 10))
FED_BACK = Standing(feedback_at=at("1405/02/01"))
AWAY = Standing(first_at=at("1404/01/01"), last_at=at("1404/12/01"))
SENT = Standing(referrer=b"r" * 10)


@pytest.mark.parametrize(
    ("bonus", "customer", "day", "clock", "points"),
    [
        # 100,000 rial at 1 per 1,000 are 100 points; each of these bonuses doubles
        ('kind = "first-purchase"', member(0), "1405/02/05", "12:00", 200),
        ('kind = "first-purchase"', member(1), "1405/02/05", "12:00", 100),
        ('kind = "first-purchase"', Customer(), "1405/02/05", "12:00", 100),  # nobody's payment
        ('kind = "visit"\nvisit = 10', member(9), "1405/02/05", "12:00", 200),
        ('kind = "visit"\nvisit = 10', member(19), "1405/02/05", "12:00", 100),
        ('kind = "visit"\nvisit = 10\nrepeat = true', member(19), "1405/02/05", "12:00", 200),
        ('kind = "birthday"', member(5, standing=BORN), "1405/02/07", "12:00", 200),
        ('kind = "birthday"', member(5, standing=BORN), "1405/02/06", "23:59", 100),
        ('kind = "birthday"', member(5), "1405/02/10", "12:00", 100),  # never told
        ('kind = "anniversary"', member(5, standing=AWAY), "1405/01/04", "12:00", 200),
        ('kind = "anniversary"', member(5, standing=AWAY), "1405/01/05", "12:00", 100),
        ('kind = "anniversary"', member(5, standing=AWAY), "1404/01/02", "12:00", 100),  # the first year
        ('kind = "happy-hours"\nhours = "17:00-20:00"', member(), "1405/02/05", "17:00", 200),
        ('kind = "happy-hours"\nhours = "17:00-20:00"', member(), "1405/02/05", "20:00", 100),
        ('kind = "happy-hours"\nweekdays = ["sat"]', member(), "1405/02/05", "12:00", 200),  # a Saturday
        ('kind = "happy-hours"\nweekdays = ["fri"]', member(), "1405/02/05", "12:00", 100),
        ('kind = "amount"\nat_least = 100_000', member(), "1405/02/05", "12:00", 200),
        ('kind = "amount"\nat_least = 100_001', member(), "1405/02/05", "12:00", 100),
        ('kind = "amount"\nbelow = 100_000', member(), "1405/02/05", "12:00", 100),
        ('kind = "lapsed"\naway_days = 60', member(5, standing=AWAY), "1405/02/05", "12:00", 200),
        ('kind = "lapsed"\naway_days = 90', member(5, standing=AWAY), "1405/02/05", "12:00", 100),
        ('kind = "referral"', member(0, standing=SENT), "1405/02/05", "12:00", 200),
        ('kind = "referral"', member(0), "1405/02/05", "12:00", 100),
        ('kind = "feedback"', member(5, standing=FED_BACK), "1405/02/05", "12:00", 200),
        ('kind = "feedback"\nwithin_days = 3', member(5, standing=FED_BACK), "1405/02/05", "12:00", 100),
        ('kind = "always"\nfrom = "1405/02/05"', member(), "1405/02/05", "00:00", 200),
        ('kind = "always"\nfrom = "1405/02/05"', member(), "1405/02/04", "23:59", 100),
        ('kind = "always"\nuntil = "1405/02/05"', member(), "1405/02/05", "23:59", 200),
        ('kind = "always"\nuntil = "1405/02/05"', member(), "1405/02/06", "00:00", 100),
    ],
)
def test_when_a_bonus_applies(bonus: str, customer: Customer, day: str, clock: str, points: int) -> None:
    programme = rules(f"[bonus.b]\nextra = 100\n{bonus}\n")
    assert sale(programme, 100_000, at(day, clock), customer).points == points


def test_a_birthday_counts_once_a_year_unless_the_programme_says_every_time() -> None:
    first = sale(rules(BIRTHDAY), 100_000, at("1405/02/09"), member(5, standing=BORN))
    assert first.granted == (("b", 1405),)
    used = member(6, standing=Standing(birthday=(2, 10), granted=first.granted))
    assert sale(rules(BIRTHDAY), 100_000, at("1405/02/10"), used).points == 100
    assert sale(rules(BIRTHDAY), 100_000, at("1406/02/10"), used).points == 200
    every = rules(BIRTHDAY + 'limit = "every"\n')
    assert sale(every, 100_000, at("1405/02/10"), used).points == 200


def test_one_feedback_brings_one_bonus() -> None:
    programme = rules('[bonus.f]\nkind = "feedback"\npoints = 15\n')
    first = sale(programme, 100_000, customer=member(standing=FED_BACK))
    assert (first.points, first.granted) == (115, (("f", FED_BACK.feedback_at),))
    used = Standing(feedback_at=FED_BACK.feedback_at, granted=first.granted)
    assert sale(programme, 100_000, customer=member(standing=used)).points == 100


@pytest.mark.parametrize(
    ("caps", "today", "spent", "points", "clipped"),
    [
        ("payment = 80", 0, 0, 80, ((Cap.PAYMENT, 20),)),
        ("payment = 100", 0, 0, 100, ()),
        ("day = 120", 0, 0, 100, ()),
        ("day = 120", 50, 0, 70, ((Cap.DAY, 30),)),
        ("day = 120", 130, 0, 0, ((Cap.DAY, 100),)),
        ("budget = 1_000", 0, 960, 40, ((Cap.BUDGET, 60),)),
        ("payment = 80\nday = 120\nbudget = 1_000", 50, 960, 40,
         ((Cap.PAYMENT, 20), (Cap.DAY, 10), (Cap.BUDGET, 30))),
    ],
)  # fmt: skip
def test_caps_clip_in_their_order_and_what_they_took_is_recorded(
    caps: str, today: int, spent: int, points: int, clipped: tuple[tuple[Cap, int], ...]
) -> None:
    when = at("1405/02/05")
    standing = Standing(first_at=1, last_at=1, day=739731 + 0, day_points=(today, 1))
    standing = Standing(1, 1, sale(rules("[cap]\nday = 1"), 1, when).day, (today, 1))
    earned = sale(rules(f"[cap]\n{caps}"), 100_000, when, member(standing=standing), budget=Fraction(spent))
    assert earned.points == points
    assert earned.clipped == tuple((cap, Fraction(taken)) for cap, taken in clipped)


def test_a_day_s_cap_begins_anew_at_local_midnight() -> None:
    programme = rules("[cap]\nday = 100")
    day = sale(programme, 100_000, at("1405/02/05", "23:59")).day
    full = member(standing=Standing(1, 1, day, (100, 1)))
    assert sale(programme, 100_000, at("1405/02/05", "23:59"), full).points == 0
    assert sale(programme, 100_000, at("1405/02/06", "00:00"), full).points == 100


@pytest.mark.parametrize(
    ("less", "settings", "eligible"),
    [
        (((Less.CASHBACK, 30_000),), "", 70_000),
        (((Less.TIP, 10_000),), "", 90_000),
        (((Less.TIP, 10_000),), "tip_counts = true", 100_000),
        (((Less.DELIVERY, 20_000),), "", 100_000),
        (((Less.DELIVERY, 20_000),), "delivery_counts = false", 80_000),
        (((Less.VAT, 9_000),), "", 100_000),
        (((Less.VAT, 9_000),), "vat_counts = false", 91_000),
        (((Less.POINTS, 100_000),), "", 0),
        (((Less.CASHBACK, 60_000), (Less.TIP, 60_000)), "", 0),
    ],
)
def test_what_of_a_payment_counts(less: tuple[tuple[Less, int], ...], settings: str, eligible: int) -> None:
    programme = rules(DOUBLE, f"points = 1\nper = 1_000\n{settings}")
    earned = sale(programme, 100_000, less=less)
    assert (earned.eligible, earned.points) == (eligible, eligible // 500)


STAMPS = '[stamp.cup]\nname_fa = "قهوه"\nneeded = 12\ngap_hours = 2\nat_least = 50_000\n'


@pytest.mark.parametrize(
    ("amount", "minutes_since", "stamps"),
    [(50_000, 120, 1), (50_000, 119, 0), (49_999, 600, 0), (50_000, -119, 0), (50_000, None, 1)],
)
def test_a_visit_stamps_once_per_gap(amount: int, minutes_since: int | None, stamps: int) -> None:
    when = at("1405/02/05")
    last = () if minutes_since is None else (Stamp("cup", 3, when - 60 * minutes_since),)
    earned = sale(rules(STAMPS), amount, when, member(standing=Standing(stamps=last)))
    assert sum(count for _, count in earned.stamps) == stamps


SETTINGS = st.sampled_from(["", "[cap]\npayment = 40\n", "[cap]\nday = 90\n", DOUBLE, DOUBLE + HALF_MORE])


@given(SETTINGS, st.integers(1, 10**9), st.lists(st.integers(1, 10**6), max_size=8), st.data())
def test_order_and_splitting_of_the_same_refund_total_never_matter(
    text: str, amount: int, refunds: list[int], data: st.DataObject
) -> None:
    earned = sale(rules(text + '[bonus.f]\nkind = "always"\npoints = 7\n', SEVEN_THIRDS), amount)
    clipped = [(int(cap), *part.as_integer_ratio()) for cap, part in earned.clipped]
    sale_of = (amount, earned.eligible, earned.contribution, earned.fixed, clipped)
    left, before, taken = amount, earned.contribution, Fraction(0)
    for refund in data.draw(st.permutations(refunds)):
        left = max(0, left - refund)
        after = left_of(*sale_of, left).contribution
        assert 0 <= after <= before
        taken, before = taken + before - after, after
    assert earned.contribution - taken == left_of(*sale_of, left).contribution
    assert left_of(*sale_of, 0).contribution == 0


def test_a_refund_of_a_capped_sale_takes_only_what_falls_below_the_cap() -> None:
    earned = sale(rules("[cap]\npayment = 80"), 100_000)
    clipped = [(int(cap), *part.as_integer_ratio()) for cap, part in earned.clipped]
    sale_of = (100_000, earned.eligible, earned.contribution, earned.fixed, clipped)
    assert left_of(*sale_of, 80_000).contribution == 80
    assert left_of(*sale_of, 50_000).contribution == 50
