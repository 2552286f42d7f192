"""The gettext catalogues: every wording of the code in both languages, and compiled as they stand."""

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from vafa.receipt.catalogue import LANGUAGES, count, say

SRC = Path(__file__).parents[2] / "src" / "vafa"
LOCALE = SRC / "receipt" / "locale"
KEYWORDS = {"say": (2,), "count": (2, 3), "_counted": (2, 3), "mark": None}


def catalogue(lang: str) -> Catalog:
    with (LOCALE / lang / "LC_MESSAGES" / "vafa.po").open("rb") as file:
        return read_po(file, locale=lang)


def wordings() -> set[str | tuple[str, ...]]:
    """What the code says, by the marks `scripts/catalogues` looks for."""
    found: set[str | tuple[str, ...]] = set()
    for room in ("receipt", "app"):
        found |= {message for _, _, message, _, _ in extract_from_dir(str(SRC / room), keywords=KEYWORDS)}
    return found


def places(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_wording_of_the_code_is_in_the_catalogue_and_nothing_else(lang: str) -> None:
    assert {message.id for message in catalogue(lang) if message.id} == wordings()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_wording_is_translated_and_keeps_its_places(lang: str) -> None:
    for message in catalogue(lang):
        if not message.id:
            continue
        originals = (message.id,) if isinstance(message.id, str) else message.id
        wanted = set().union(*(places(each) for each in originals)) - {"br"}
        for said in (message.string,) if isinstance(message.string, str) else message.string or ():
            assert said
            assert not message.fuzzy
            assert places(said) - {"br"} == wanted, message.id


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_shipped_is_compiled_from_what_is_read(lang: str) -> None:
    with (LOCALE / lang / "LC_MESSAGES" / "vafa.mo").open("rb") as file:
        shipped = gettext.GNUTranslations(file)
    for message in catalogue(lang):
        if isinstance(message.id, str) and message.id:
            assert shipped.gettext(message.id) == message.string
        elif message.id:
            forms = {shipped.ngettext(message.id[0], message.id[1], number) for number in range(3)}
            assert forms == set(message.string or ())


def test_one_and_many_are_told_apart_where_a_language_does() -> None:
    forms = ("Balance: {points} point", "Balance: {points} points")
    assert count("en", *forms, 1, points="1") == "Balance: 1 point"
    assert count("en", *forms, 0, points="0") == "Balance: 0 points"
    assert count("fa", *forms, 1, points="۱") == "مانده امتیاز: ۱"
    assert say("fa", "Number: {number}", number="۷") == "شماره: ۷"
