"""Numbers, dates and identifiers as people read them, in Persian and in English.

Persian text runs right to left and numbers left to right, so a printer or screen may move a sign, a dash or
a bullet to the wrong end: `021-88776655` prints as 88776655-021. What holds such characters is wrapped in
isolates (LRI ... PDI); plain digits need none.
"""

import re
import unicodedata
from datetime import date
from fractions import Fraction

from vafa.model.calendar import local_time, to_jalali

LRI, FSI, PDI = "\u2066", "\u2068", "\u2069"
ZWNJ = "\u200c"
BREAK = "\v"  # within a wording: a blank on paper, a new line where only one number may stand on a line

_PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")
MONTHS_FA = "فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند".split()
MONTHS_EN = "Farvardin Ordibehesht Khordad Tir Mordad Shahrivar Mehr Aban Azar Dey Bahman Esfand".split()


# Signs, digits and Latin letters with something between them that has no direction of its own.
_KEPT_IN_ORDER = re.compile(
    r"[+@#-][0-9A-Za-z۰-۹]+(?![!-~۰-۹•])|[+@#-]?[0-9A-Za-z۰-۹]+(?:[!-/:-@_~•]+[0-9A-Za-z۰-۹]+)+"
)


def persian(text: str) -> str:
    """ASCII digits, grouping comma and decimal point as Persian ones."""
    return text.translate(_PERSIAN)


def isolated(text: str) -> str:
    """`text` kept left to right as a whole inside Persian text."""
    return f"{LRI}{text}{PDI}"


def theirs(text: str, lang: str) -> str:
    """A shop's name, a reward, a message: other people's text, without what steers a printer or the order.

    In a script that runs the other way it is isolated, so that our words keep their places around it; and so
    is each number or address in Persian text, which nobody writes with marks: 021-88776655 stays so.
    """
    clean = "".join(c if c.isprintable() or c == ZWNJ else " " for c in text)
    strong = {unicodedata.bidirectional(c) for c in clean}
    persian_in_it = not strong.isdisjoint({"R", "AL"})
    if lang == "fa" or persian_in_it:
        clean = _KEPT_IN_ORDER.sub(lambda run: isolated(run.group()), clean)
    foreign = "L" in strong if lang == "fa" else persian_in_it
    return f"{FSI}{clean}{PDI}" if foreign else clean


def number(value: int, lang: str) -> str:
    """1240 as ۱٬۲۴۰ or 1,240; a negative one with its sign kept in front."""
    shown = f"{abs(value):,}"
    if lang != "fa":
        return f"-{shown}" if value < 0 else shown
    return isolated("-" + persian(shown)) if value < 0 else persian(shown)


def signed(value: int, lang: str) -> str:
    """+125 or -3: what a history shows."""
    shown = f"{value:+,}"
    return isolated(persian(shown)) if lang == "fa" else shown


def identifier(text: str, lang: str) -> str:
    """A number with dashes, a phone mask or a card mask: never regrouped, never reordered."""
    return isolated(persian(text)) if lang == "fa" else text


def exact(value: int | Fraction, lang: str) -> str:
    """A fraction at or above zero, without rounding: 10.5 where four decimals are enough, else 3 + 1/3."""
    value = Fraction(value)
    whole = value.__floor__()
    rest = value - whole
    if 10_000 % rest.denominator:
        shown = (f"{whole:,} + " if whole else "") + f"{rest.numerator}/{rest.denominator}"
        return identifier(shown, lang)
    decimals = f"{int(rest * 10_000):04d}".rstrip("0")
    shown = f"{whole:,}.{decimals}" if decimals else f"{whole:,}"
    return persian(shown) if lang == "fa" else shown


def day_numbers(instant: int, zone: str) -> tuple[str, str]:
    """(`1405/09/02`, `10:02`) in ASCII digits: the Jalali day and time of a UTC instant in `zone`.

    Outside the Jalali years we know (a clock gone wrong) the Gregorian day stands there, with dashes.
    """
    local = local_time(instant, zone)
    try:
        year, month, day = to_jalali(local.date())
    except ValueError:
        return f"{local:%Y-%m-%d}", f"{local:%H:%M}"
    return f"{year:04d}/{month:02d}/{day:02d}", f"{local:%H:%M}"


def day_words(day: date, lang: str) -> tuple[str, str]:
    """(`۳۱ خرداد`, `۱۴۰۵`) or (`31 Khordad`, `1405`)."""
    year, month, number_of_day = to_jalali(day)
    if lang == "fa":
        return persian(f"{number_of_day} ") + MONTHS_FA[month - 1], persian(str(year))
    return f"{number_of_day} {MONTHS_EN[month - 1]}", str(year)
