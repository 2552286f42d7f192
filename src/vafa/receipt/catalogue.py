"""Wordings by language: gettext catalogues under `locale/`, English as the key.

`say` and `count` are the marks `scripts/catalogues` looks for. A wording may have {br} (numerals.BREAK)
where a terminal that may hold only one number a line starts a new one; places are named, so that a language
may order them as it likes.
"""

import gettext
from functools import cache
from pathlib import Path

from vafa.receipt.numerals import BREAK

LANGUAGES = ("fa", "en")


@cache
def _catalogue(lang: str) -> gettext.NullTranslations:
    return gettext.translation("vafa", Path(__file__).parent / "locale", [lang])


def say(lang: str, wording: str, *numbered: str, **values: str) -> str:
    """`wording` in `lang`, its places filled. KeyError, IndexError: a place without a value."""
    return _catalogue(lang).gettext(wording).format(*numbered, br=BREAK, **values)


def count(lang: str, one: str, many: str, number: int, **values: str) -> str:
    """As `say`, in the form `lang` has for `number` of something."""
    return _catalogue(lang).ngettext(one, many, number).format(br=BREAK, **values)


def mark(wording: str) -> str:
    """A wording that `say` is given later, from a table: the same text, for the catalogues' sake."""
    return wording
