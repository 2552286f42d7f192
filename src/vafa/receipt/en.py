"""The English wording of every line: screens and support, and slips of terminals without Persian letters.

Days stay Jalali, as everybody in the shop reads them.
"""

from typing import assert_never

from vafa.receipt import slip
from vafa.receipt.numerals import BREAK, day_numbers, day_words, number, theirs


def lines(line: slip.AnyLine, zone: str) -> tuple[str, ...]:  # noqa: PLR0911, PLR0912  (a table: one return a row)
    """The printed lines of one content line; instants are shown in `zone`."""
    match line:
        case slip.OwnBalance() | slip.HubBalance() | slip.Pending() | slip.NextReward() | slip.Lapsing():
            return _points_held(line, zone)
        case slip.Header(shop):
            return (f"Customer club of {theirs(shop.en or shop.fa, 'en')}",)
        case slip.Amount(rials):
            return (f"Amount: {number(rials, 'en')} rial{BREAK}or {_toman(rials)} toman (divided by ten)",)
        case slip.Promise(points):
            return (f"If paid: {_points(points)}",)
        case slip.Earned(points):
            return (f"Points for this purchase: {number(points, 'en')}",)
        case slip.Waiting(points):
            verb = "is" if points == 1 else "are"
            return (f"{_points(points)} {verb} kept for this card",)
        case slip.ClaimCode(code):
            return (f"Membership code: {code}",)
        case slip.NothingEarned(minimum):
            return ("No points for this purchase", f"Smallest purchase: {number(minimum, 'en')} rial")
        case slip.ClawedBack(points):
            return (f"{_points(points)} taken back for a returned purchase",)
        case slip.Message(text, english):
            return (theirs(english or text, "en"),)
        case slip.Number(ours):
            return (f"Number: {ours}",)
        case slip.CheckCode(code):
            return (f"Check code: {code}",)
        case _:
            assert_never(line)


def _points_held(
    line: slip.OwnBalance | slip.HubBalance | slip.Pending | slip.NextReward | slip.Lapsing, zone: str
) -> tuple[str, ...]:
    """What the member holds, may spend later, misses, or may lose."""
    match line:
        case slip.OwnBalance(points):
            return (f"Balance: {_points(points)}",)
        case slip.HubBalance(confirmed, at, provisional):
            day, time = day_numbers(at, zone)
            told = (f"Confirmed balance: {number(confirmed, 'en')}", f"as of {day}{BREAK}at {time}")
            since = f"Since then: {_points(provisional)} (to be confirmed)"
            return (*told, since) if provisional else told
        case slip.Pending(points, day_from):
            day, _ = day_words(day_from, "en")
            return (f"{_points(points)}{BREAK}can be used from {day}",)
        case slip.NextReward(reward, points):
            return (f"Until {theirs(reward, 'en')}: {number(points, 'en')} more points",)
        case slip.Lapsing(points, last_day):
            day, year = day_words(last_day, "en")
            return (f"{_points(points)}{BREAK}valid only until the end of {day}{BREAK}{year}",)
        case _:
            assert_never(line)


def _points(points: int) -> str:
    return f"{number(points, 'en')} point{'' if points == 1 else 's'}"


def _toman(rials: int) -> str:
    """Rial ÷ 10; an odd rial as a decimal, because nothing is rounded."""
    toman, odd = divmod(rials, 10)
    return number(toman, "en") + (f".{odd}" if odd else "")


STEPS = {
    "paid": "paid: {0} rial",
    "eligible": "of it counts: {0} rial",
    "rate": "rate: {0} point(s) for every {1} rial",
    "contribution": "this purchase: {0} × {1} ÷ {2} = {3} points",
    "sum": "with what earlier purchases left over: {0} + {1} = {2}",
    "points": "points for this purchase: {0}",
    "carry_after": "left over for the next purchase: {0} points",
    "not_a_sale": "this payment is no purchase (bill, top-up or the like) and earns nothing",
    "below_minimum": "less than the smallest purchase that earns: {0} rial",
    "baseline": "this payment was made before the club began here",
    "no_programme": "no programme was active at that time",
}
