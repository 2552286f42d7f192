"""A card number or a phone typed into a programme is refused before it is kept, and shown nowhere."""

import pytest

from vafa.club.programme import parse, parse_stored
from vafa.model.errors import ProgrammeError

PAN = "6219861034529007"  # made up; passes Luhn
PERSIAN_PAN = "۶۲۱۹-۸۶۱۰-۳۴۵۲-۹۰۰۷"
PHONE = "09121236789"
START = 'schema = 1\nname.fa = "کافه"\nearn.points = 1\nearn.per = 10\n'
TIER = '[tier.gold]\nname_fa = "{0}"\nat_least = 0\n'
CARD, MOBILE = "holds a card number: ", "holds a mobile number: "


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (START.replace("کافه", f"کافه {PAN}"), "name.fa", CARD),
        (START.replace("کافه", PERSIAN_PAN), "name.fa", CARD),
        (START + f'name.en = "Call {PHONE}"\n', "name.en", MOBILE),
        (START + TIER.format(PAN), "tier.gold.name_fa", CARD),
        (START + TIER.format("طلایی ۰۹۱۲۱۲۳۶۷۸۹"), "tier.gold.name_fa", MOBILE),
        (START + f"[tier.{PAN}]\nname_fa = 'x'\nat_least = 0\n", "tier.621986******9007", CARD),
        (START + f"[tier.a-{PHONE}]\nname_fa = 'x'\nat_least = 0\n", "tier.a-0912•••6789", MOBILE),
    ],
)
def test_a_card_number_or_a_phone_in_a_programme_is_refused_with_its_place(
    text: str, place: str, what: str
) -> None:
    with pytest.raises(ProgrammeError) as caught:
        parse(text)
    told = {fault.place: fault.message for fault in caught.value.faults}
    assert told[place].startswith(what)
    said = str(caught.value)
    assert not any(secret in said for secret in (PAN, PERSIAN_PAN, PHONE, "۰۹۱۲۱۲۳۶۷۸۹", "6,219,861"))


@pytest.mark.parametrize(
    "wrong",
    [f"earn.minimum = {PAN}\n", f'earn.minimum = "{PAN}"\n', f'cap.day = "{PHONE}"\n', f"name.en = {PAN}\n"],
)
def test_what_stands_in_the_wrong_place_is_not_shown_either(wrong: str) -> None:
    with pytest.raises(ProgrammeError) as caught:
        parse(START + wrong)
    said = str(caught.value)
    assert not any(secret in said for secret in (PAN, PHONE, "6,219,861"))


def test_what_was_accepted_once_still_holds_and_numbers_that_are_none_are_texts() -> None:
    stored = parse_stored(START.replace("کافه", f"کافه {PHONE}"), "stored")
    assert parse_stored(stored.canonical.decode(), "again").hash == stored.hash
    for fine in ("021-88776655", "1234567890123456", "کافه ۲۴", "Est. 1379"):
        assert parse(START.replace("کافه", fine)).name_fa == fine
