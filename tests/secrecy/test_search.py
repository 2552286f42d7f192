"""The search finds what is planted, in every form it claims to know: else its silence would prove nothing."""

import random

import pytest
from secrecy.plants import PANS, PHONES, spellings
from secrecy.search import Form, Place, forms, found

from vafa.model.pan import luhn_ok, mask_pans

SEA = random.Random(7).randbytes(200_000)  # noqa: S311 - a sea to search, no secret


@pytest.mark.parametrize("form", list(forms(PANS[0])), ids=lambda form: form.name)
def test_a_planted_form_is_found(form: Form) -> None:
    data = form.data
    if form.nibbles:  # both phases: a half byte before, a half byte after
        halves = b"a" + data + b"b" if len(data) % 2 == 0 else b"a" + data
        assert found(PANS[:1], [Place("file", SEA + bytes.fromhex(halves.decode()) + SEA)])
        data = bytes.fromhex(data.decode())
    assert any(form.name in hit for hit in found(PANS[:1], [Place("file", SEA + data + SEA)]))


@pytest.mark.parametrize("digits", [*PANS, *PHONES])
def test_no_form_is_found_where_nothing_was_planted(digits: str) -> None:
    assert (
        found([digits], [Place("file", SEA), Place("text", b"a log line 12:34 sale 1-1-57\n" * 1_000)]) == []
    )


def test_the_planted_card_numbers_are_such() -> None:
    assert all(luhn_ok(pan) for pan in PANS)
    assert {len(pan) for pan in PANS} == {13, 15, 16, 19}


@pytest.mark.parametrize("pan", PANS)
def test_each_planted_spelling_is_masked_in_text(pan: str) -> None:
    left = [text for text in spellings(pan) if found([pan], [Place("text", mask_pans(text).encode())])]
    assert left == []
