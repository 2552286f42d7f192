"""The document, its canonical form and hash, and what is said about a wrong one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.programme import PER_MAX, POINTS_MAX, Programme, document, parse
from vafa.club.sense import WorstCase, worst_case
from vafa.club.sense_offers import OfferCost
from vafa.model.errors import ProgrammeError
from vafa.model.money import AMOUNT_MAX

PLAIN = Path(__file__).parents[2] / "src/vafa/club/examples/plain.toml"

CAFE = """
schema = 1
[name]
fa = "کافه نگین"
en = "Kafe Negin"
[earn]
points = 1
per = 10_000
"""
# Computed once and never changed: a journal written today must find its programme for ever.
CAFE_CANONICAL = """schema = 1
earn.per = 10000
earn.points = 1
name.en = "Kafe Negin"
name.fa = "کافه نگین"
"""
CAFE_HASH = "4dbe2a2e2a0245b69f499c06d76fff08f990ed43bf288de630ec169a18b882ef"


def faults(text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ProgrammeError) as caught:
        parse(text, "rules.toml")
    assert str(caught.value).startswith("rules.toml: ")
    return {fault.place: (fault.message, fault.nearest) for fault in caught.value.faults}


def test_the_hash_of_a_document_never_changes() -> None:
    programme = parse(CAFE)
    assert programme.canonical.decode() == CAFE_CANONICAL
    assert programme.hash.hex() == CAFE_HASH
    assert programme.id == programme.hash[:8]


@pytest.mark.parametrize(
    "same",
    [
        CAFE_CANONICAL,
        CAFE.replace("\n", "\r\n"),
        CAFE.replace("10_000", "10000   # one point per thousand toman"),
        CAFE.replace("points = 1\nper = 10_000", "per = 10_000\n\n\tpoints=1"),
        CAFE + 'currency = "IRR"\nminimum = 0\n',
        'schema = 1\nearn = {per = 10000, points = 1}\nname = {en = "Kafe Negin", fa = " کافه نگین "}',
    ],
)
def test_blanks_order_comments_and_spelled_out_defaults_do_not_change_the_hash(same: str) -> None:
    assert parse(same).hash.hex() == CAFE_HASH


@pytest.mark.parametrize(
    ("old", "new"),
    [("Negin", "Negim"), ("نگین", "نگار"), ("10_000", "10_001"), ("points = 1", "points = 2")],
)
def test_every_setting_changes_the_hash(old: str, new: str) -> None:
    assert parse(CAFE.replace(old, new)).hash.hex() != CAFE_HASH
    assert parse(CAFE + "minimum = 1").hash.hex() != CAFE_HASH


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=' "\\\u200c'), min_size=1
).map(str.strip)


@given(
    st.builds(
        Programme,
        name_fa=names.filter(lambda n: 1 <= len(n) <= 40),
        name_en=names.filter(lambda n: len(n) <= 40),
        points=st.integers(1, POINTS_MAX),
        per=st.integers(1, PER_MAX),
        minimum=st.integers(0, AMOUNT_MAX),
    )
)
def test_the_document_in_the_journal_parses_to_the_same_programme(programme: Programme) -> None:
    again = parse(document(programme))
    assert again == programme
    assert again.hash == programme.hash


def test_the_shipped_example_is_a_programme() -> None:
    programme = parse(PLAIN.read_text(encoding="utf-8"))
    assert (programme.points, programme.per, programme.minimum) == (1, 10_000, 0)
    assert programme.name("en") == "Sample Shop"


def test_a_shop_without_an_english_name_shows_its_persian_one() -> None:
    assert parse(CAFE.replace('en = "Kafe Negin"', "")).name("en") == "کافه نگین"


def test_all_faults_are_told_at_once_each_with_its_place_and_the_nearest_right_name() -> None:
    told = faults(
        'schema = 2\nper = 5\nnmae = 1\n[earn]\npoint = 1\nminimun = 3\nper = 1.5\ncurrency = "IRT"\n'
    )
    assert told == {
        "schema": ("this Vafa reads schema 1, the document says 2: update Vafa", ""),
        "per": ("is no setting of a programme", "earn.per"),
        "nmae": ("is no setting of a programme", "name"),
        "earn.point": ("is no setting of a programme", "earn.points"),
        "earn.minimun": ("is no setting of a programme", "earn.minimum"),
        "name.fa": ("is missing: the shop's name in Persian", ""),
        "earn.points": ("is missing: a whole number of points", ""),
        "earn.per": ("must be a whole number of rial: no quotes, no decimal point; it is 1.5", ""),
        "earn.currency": ('must be "IRR"; it is "IRT"', "IRR"),
    }


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("per = 10_000", "per = 0", "earn.per", "must lie between 1 and 1,000,000,000; it is 0"),
        ("per = 10_000", 'per = "10000"', "earn.per", 'no quotes, no decimal point; it is "10000"'),
        ("points = 1", "points = true", "earn.points", "must be a whole number of points; it is true"),
        ("points = 1", "points = 1001", "earn.points", "must lie between 1 and 1,000; it is 1,001"),
        ("points = 1", "points = [1]", "earn.points", "it is a list"),
        ("points = 1", f"points = {'9' * 4000}", "earn.points", "it is far too large"),
        ("points = 1", f"points = {'9' * 5000}", "document", "a number has thousands of digits"),
        ("points = 1", "points = 1\nminimum = -1", "earn.minimum", "must lie between 0 and"),
        ("schema = 1", "schema = true", "schema", "must be the whole number 1; it is true"),
        ("schema = 1", "", "schema", "is missing: write  schema = 1"),
        ('"Kafe Negin"', '""', "name.en", "must have 1 to 40 characters; it has 0"),
        ('"کافه نگین"', f'"{"ف" * 41}"', "name.fa", "must have 1 to 40 characters; it has 41"),
        ('"کافه نگین"', '"a\\u202eb"', "name.fa", "one line without hidden characters"),
        ('"کافه نگین"', "7", "name.fa", "must be the shop's name in Persian, in quotes; it is 7"),
        ("points = 1", "points = = 1", "line 7, column 10", "cannot be read here: Invalid value"),
        ("schema = 1", "schema = 1\nearn = 3", "line 7, column 6", "cannot be read here"),
        ("schema = 1", f"schema = 1\nx = {'[' * 5000}", "document", "brackets are nested too deep"),
        ("schema = 1", "schema = 1\n[teirs]\ngold = 1", "teirs", "is no setting of a programme"),
        ("schema = 1", "schema = 1\n[tiers]\ngold = 1", "tiers.gold", "is no setting of a programme"),
        ("schema = 1", "#" * 70_000, "document", "is longer than 65,536 characters"),
    ],
)
def test_a_fault_is_told_in_a_merchants_words(old: str, new: str, place: str, words: str) -> None:
    told = faults(CAFE.replace(old, new, 1))
    assert list(told) == [place]
    assert words in told[place][0]


def test_a_section_given_as_a_value_is_told_as_such() -> None:
    assert "write  [bonus.NAME]" in faults("schema = 1\nbonus = 3")["bonus"][0]
    assert "write  [earn]" in faults("schema = 1\nearn = 3")["earn"][0]


@given(st.text(max_size=300))
def test_any_text_is_a_programme_or_is_refused_with_reasons(text: str) -> None:
    try:
        parse(text)
    except ProgrammeError as refusal:
        assert refusal.faults  # noqa: PT017  (any text: both ends are right)


EXAMPLES = PLAIN.parent
WHOLE = CAFE + (
    '[cap]\npayment = 5\n[tier.gold]\nat_least = 7\nname_fa = "طلایی"\n'
    '[bonus.lunch]\nkind = "happy-hours"\nweekdays = ["sun", "sat"]\nhours = "12:00 - 15:00"\nextra = 50\n'
    'from = "1405/1/5"\n[stamp.cup]\nname_fa = "قهوه"\nneeded = 12\n'
    '[reward.cup]\nkind = "stamps"\nname_fa = "قهوه"\nstamp = "cup"\n'
    '[offer.sorry]\nname_fa = "پوزش"\nvalid_days = 30\ndiscount = 5\n'
)
# As for CAFE: computed once and never changed.
WHOLE_HASH = "a045108a8101732b57d41b6b47f8fbd04995bc967790c0e843aabb410617d8f6"


@pytest.mark.parametrize("name", ["plain", "cafe", "grocery", "restaurant"])
def test_the_shipped_examples_are_programmes_whose_document_comes_back(name: str) -> None:
    programme = parse((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"))
    assert parse(document(programme)) == programme
    assert programme.is_plain == (name == "plain")


def test_a_document_with_entries_keeps_its_hash_in_any_spelling() -> None:
    programme = parse(WHOLE)
    assert programme.hash.hex() == WHOLE_HASH
    lunch = programme.bonuses[0]
    assert (lunch.weekdays, lunch.hours, lunch.from_day) == (("sat", "sun"), "12:00-15:00", "1405/01/05")
    assert parse(document(programme)).hash == programme.hash


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('[bonus.x]\nkind = "happy-hour"\nextra = 5', "bonus.x.kind", "must be"),
        ("[bonus.x]\nextra = 5", "bonus.x.kind", "is missing: what it is for: always, happy-hours"),
        ('[bonus.x]\nkind = "always"', "bonus.x", "gains nothing: write extra (percent) or points"),
        ('[bonus.x]\nkind = "always"\nextras = 5', "bonus.x.extras", "is no setting of a bonus"),
        ('[bonus.x]\nkind = "visit"\nextra = 5', "bonus.x.visit", "is missing: which visit"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nvisit = 3', "bonus.x.visit", "means nothing for kind"),
        ('[bonus.x]\nkind = "lapsed"\nextra = 5', "bonus.x.away_days", "is missing"),
        ('[bonus.x]\nkind = "happy-hours"\nextra = 5', "bonus.x", "happy hours need weekdays or hours"),
        ('[bonus.x]\nkind = "amount"\nextra = 5', "bonus.x", "a band of amounts needs at_least or below"),
        ('[bonus.x]\nkind = "amount"\nextra = 5\nat_least = 9\nbelow = 9', "bonus.x.below", "must lie above"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nfrom = "1404/12/30"', "bonus.x.from", "there is no day"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nfrom = "today"', "bonus.x.from", 'as "1405/01/31"'),
        ('[bonus.x]\nkind = "always"\nextra = 5\nfrom = "1405/02/02"\nuntil = "1405/02/01"', "bonus.x.until",
         "lies before from"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nhours = "5pm"', "bonus.x.hours", 'as "17:00-20:00"'),
        ('[bonus.x]\nkind = "always"\nextra = 5\nhours = "17:00-24:30"', "bonus.x.hours", "17:00-20:00"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nweekdays = ["saturday"]', "bonus.x.weekdays", "mon, tue"),
        ('[bonus.x]\nkind = "always"\nextra = 5\nweekdays = "sat"', "bonus.x.weekdays", 'as ["thu", "fri"]'),
        ('[bonus."Happy Hour"]\nkind = "always"', "bonus.Happy Hour", "small Latin letters"),
        ('[bonus]\nkind = "always"', "bonus.kind", "write  [bonus.NAME]"),
        ('[tier.x]\nname_fa = "ط"', "tier.x.at_least", "is missing"),
        ('[tier.x]\nat_least = 1\nname_fa = "ط"\n[tier.y]\nat_least = 1\nname_fa = "ظ"', "tier.y.at_least",
         "is the same as that of tier.x"),
        ('[tier.x]\nat_least = 1\nname_fa = "ط"\nper = 5', "tier.x", "needs both points and per"),
        ("[tiers]\nwindow = \"year\"", "tiers.window", "means nothing without a tier"),
        ('[tiers]\nwindow = "rolling"\n[tier.x]\nat_least = 1\nname_fa = "ط"', "tiers.days", "looks back"),
        ('[expiry]\nround = "month"', "expiry.round", "rounds nothing"),
        ("[pending]\nhours = 3\ndays = 3", "pending", "hours and days"),
        ('[time]\nzone = "Asia/Teheran"', "time.zone", "there is no time zone"),
        ("[new_rial]\npoints = 3", "new_rial", "a rate needs both points and per"),
        ('[reward.x]\nkind = "threshold"\nname_fa = "غ"', "reward.x.points", "is missing"),
        ('[reward.x]\nkind = "stamps"\nname_fa = "غ"\nstamp = "cup"', "reward.x.stamp", "no stamp card"),
        ('[reward.x]\nkind = "free-item"\nname_fa = "غ"\npoints = 5\nrial = 3', "reward.x.rial",
         "means nothing for kind free-item"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5', "offer.x", "brings nothing"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\ndiscount = 1', "offer.x", "write two offers"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npercent_off = 1\ndiscount = 1', "offer.x", "not both"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\nmax_discount = 1', "offer.x.max_discount",
         "without percent_off"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\ndiscount = 9\nat_least = 9', "offer.x.at_least",
         "the purchase costs nothing"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\ngrant = "visit"', "offer.x.visit",
         "is missing for grant"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\nevery_rial = 5', "offer.x.every_rial",
         'only for "spend"'),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\nrepeat = true', "offer.x.repeat",
         'means nothing for grant = "by-hand"'),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 2\npoints = 1\ngrant = "birthday"\ndays_before = 3',
         "offer.x.valid_days", "ends before the birthday"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\ngrant = "tier-up"', "offer.x.grant",
         "nobody goes up a tier"),
        ('[offer.x]\nname_fa = "غ"\nvalid_days = 5\npoints = 1\nsegment = "all"', "offer.x.segment",
         "names no segment"),
        ('[segment.x]\nname_fa = "غ"', "segment.x", "says nothing of who is in it"),
        ('[segment.x]\nname_fa = "غ"\ntier = "gold"', "segment.x.tier", "names no tier"),
        ('[segment.x]\nname_fa = "غ"\nvisits_at_least = 5\nvisits_below = 5', "segment.x.visits_below",
         "must lie above"),
        ('[segment.x]\nname_fa = "غ"\naway_days = 30\nseen_days = 5', "segment.x.seen_days", "nobody bought"),
        ('[segment.x]\nname_fa = "غ"\njoined_from = "1405/13/01"', "segment.x.joined_from",
         "there is no day"),
        ('[segment.x]\nname_fa = "غ"\njoined_from = "1405/02/01"\njoined_until = "1405/01/01"',
         "segment.x.joined_until", "lies before"),
        ("tip_counts = 1", "earn.tip_counts", "write true or false"),
    ],
)  # fmt: skip
def test_a_fault_of_a_rule_is_told_in_a_merchants_words(text: str, place: str, words: str) -> None:
    told = faults(CAFE + text + "\n")
    assert list(told) == [place]
    assert words in told[place][0]


def test_what_cannot_be_read_hides_no_fault_between_other_settings() -> None:
    told = faults(
        CAFE
        + """
[cap]
day = "many"
[pending]
hours = 3
days = 4
[bonus.bday]
kind = "birtday"
[reward.cup]
kind = "stamps"
name_fa = "x"
stamp = "cop"
[stamp.cup]
name_fa = "x"
needed = "two"
[offer.ten]
name_fa = "x"
valid_days = 7
percent_off = 10
discount = 5
"""
    )
    assert {
        place: words for place, (words, _) in told.items() if place not in ("cap.day", "stamp.cup.needed")
    } == {
        "bonus.bday.kind": told["bonus.bday.kind"][0],
        "pending": "says hours and days: points wait for one of them",
        "reward.cup.stamp": "names no stamp card of this programme: cup",
        "offer.ten": "takes off rial or a percentage, not both",
    }
    assert "birthday" in told["bonus.bday.kind"][1]


def test_a_section_of_a_wrong_name_hides_no_fault_that_it_cannot_mend() -> None:
    always = '[bonus.{}]\nkind = "always"\npoints = 3\nfrom = "{}"\nuntil = "{}"\n'
    told = faults(
        CAFE
        + '[tmie]\ncalendar = "gregorian"\n[pending]\nhours = 3\ndays = 4\n[bonus.a]\nkind = "always"\n'
        + always.format("b", "1405/13/01", "1405/13/02")  # a day of no calendar
        + always.format("c", "1405/12/30", "1405/12/31")  # of a year that `tmie` may have meant
        + always.format("d", "1405/02/01", "1405/01/01")
    )
    assert list(told) == [
        "tmie", "pending", "bonus.a", "bonus.b.from", "bonus.b.until", "bonus.d.until"
    ]  # fmt: skip


def test_what_follows_from_a_setting_that_cannot_be_read_is_not_told() -> None:
    assert list(faults(CAFE + '[tiers]\nmetric = "x"\nwindow = "rolling"\n')) == ["tiers.metric"]
    assert list(faults(CAFE + '[teirs]\ndays = 3\n[tiers]\nmetric = "visits"\n')) == ["teirs"]
    assert list(faults(CAFE + '[pendign]\nhours = 3\n[expiry]\nround = "month"\n')) == ["pendign"]
    tiers = '[tier.a]\nname_fa = "x"\nat_least = "0"\n[tier.b]\nname_fa = "x"\nat_least = 1\n'
    assert list(faults(CAFE + tiers)) == ["tier.a.at_least"]


def test_faults_of_several_entries_are_told_at_once() -> None:
    told = faults(
        CAFE + '[bonus.a]\nkind = "alway"\n[tier.b]\nat_leats = 5\nname_fa = "ط"\n[stamps.cup]\nneeded = 3\n'
    )
    assert told["bonus.a.kind"][1] == "always"
    assert told["tier.b.at_leats"] == ("is no setting of a tier", "at_least")
    assert told["stamps"] == ("is no setting of a programme", "stamp")
    assert "tier.b.at_least" in told


def test_rates_and_percentages_that_no_exact_fraction_holds_are_refused() -> None:
    many = "".join(f'[bonus.b{n}]\nkind = "always"\nextra = {n}\n' for n in (1, 3, 7, 9, 11, 13))
    told = faults(CAFE.replace("per = 10_000", 'per = 999_999_937\nstacking = "multiply"') + many)
    assert "too fine to be counted exactly" in told["document"][0]


def test_the_worst_case_counts_a_day_s_cap_on_each_device() -> None:
    programme = parse((EXAMPLES / "cafe.toml").read_text(encoding="utf-8"))
    offers = (OfferCost("sorry", 0, 300_000, "returned"), OfferCost("thanks", 50, 0, "visit"))
    assert worst_case(programme, 3) == WorstCase(3, 200, 900, None, offers)


def test_an_offer_that_nothing_bounds_says_so() -> None:
    text = '[offer.a]\nname_fa = "غ"\nvalid_days = 5\nextra = 5\n[offer.b]\nname_fa = "غ"\nvalid_days = 5\n'
    programme = parse(CAFE + text + "percent_off = 5\n")
    assert worst_case(programme, 1).offers == (
        OfferCost("a", None, 0, "by-hand"),
        OfferCost("b", 0, None, "by-hand"),
    )
