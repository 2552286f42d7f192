"""The wording of every line (UX.md's table), in English; the catalogues have it in the other languages.

In Persian امتیاز is a point and مانده a balance: موجودی would suggest the bank account. Days stay Jalali in
every language, as everybody in the shop reads them.
"""

from typing import assert_never

from vafa.receipt import slip
from vafa.receipt.catalogue import count, mark, say
from vafa.receipt.numerals import day_numbers, day_words, identifier, number, persian, theirs


def lines(line: slip.AnyLine, lang: str, zone: str) -> tuple[str, ...]:  # noqa: PLR0911, PLR0912  (a table)
    """One string a printed line of the content line; instants are shown in `zone`."""
    match line:
        case slip.OwnBalance() | slip.HubBalance() | slip.Pending() | slip.NextReward() | slip.Lapsing():
            return _points_held(line, lang, zone)
        case slip.Header(shop):
            name = shop.fa if lang == "fa" else shop.en or shop.fa
            return (say(lang, "Customer club of {shop}", shop=theirs(name, lang)),)
        case slip.Amount(rials, True):
            return (say(lang, "Amount: {rials} new rial", rials=number(rials, lang)),)
        case slip.Amount(rials):
            values = {"rials": number(rials, lang), "toman": _toman(rials, lang)}
            return (say(lang, "Amount: {rials} rial{br}or {toman} toman (divided by ten)", **values),)
        case slip.Promise(points):
            return (_counted(lang, "If paid: {points} point", "If paid: {points} points", points),)
        case slip.Earned(points):
            return (say(lang, "Points for this purchase: {points}", points=number(points, lang)),)
        case slip.Waiting(points):
            return (
                _counted(
                    lang,
                    "{points} point is kept for this card",
                    "{points} points are kept for this card",
                    points,
                ),
            )
        case slip.ClaimCode(code):
            return (say(lang, "Membership code: {code}", code=_digits(code, lang)),)
        case slip.NothingEarned(minimum):
            smallest = say(lang, "Smallest purchase: {rials} rial", rials=number(minimum, lang))
            return (say(lang, "No points for this purchase"), smallest)
        case slip.ClawedBack() | slip.Redeemed() | slip.CameBack():
            return _points_moved(line, lang)
        case slip.OfferUsed() | slip.OfferOpen() | slip.OfferBack():
            return _offer(line, lang)
        case slip.Message(persian_text, english):
            return (theirs(persian_text if lang == "fa" else english or persian_text, lang),)
        case slip.Number(ours):
            return (say(lang, "Number: {number}", number=identifier(ours, lang)),)
        case slip.CheckCode(code):
            return (say(lang, "Check code: {code}", code=_digits(code, lang)),)
        case _:
            assert_never(line)


def _points_moved(line: slip.ClawedBack | slip.Redeemed | slip.CameBack, lang: str) -> tuple[str, ...]:
    """What left the member, or came back."""
    match line:
        case slip.ClawedBack(points):
            return (
                _counted(
                    lang,
                    "{points} point taken back for a returned purchase",
                    "{points} points taken back for a returned purchase",
                    points,
                ),
            )
        case slip.Redeemed(points, name_fa, name_en):
            name = theirs(name_fa if lang == "fa" else name_en or name_fa, lang)
            if not points:
                return (say(lang, "For a full stamp card: {reward}", reward=name),)
            return (
                _counted(
                    lang,
                    "{points} point redeemed{br}{reward}",
                    "{points} points redeemed{br}{reward}",
                    points,
                    reward=name,
                ),
            )
        case slip.CameBack(points, name_fa, name_en):
            if not points:
                name = theirs(name_fa if lang == "fa" else name_en or name_fa, lang)
                return (say(lang, "Back on the stamp card: {reward}", reward=name),)
            return (
                _counted(
                    lang,
                    "{points} redeemed point came back",
                    "{points} redeemed points came back",
                    points,
                ),
            )
        case _:
            assert_never(line)


def _offer(line: slip.OfferUsed | slip.OfferOpen | slip.OfferBack, lang: str) -> tuple[str, ...]:
    """What was used of a member's offers, or is there still."""
    name = theirs(line.fa if lang == "fa" else line.en or line.fa, lang)
    match line:
        case slip.OfferUsed():
            return (say(lang, "Offer used:{br}{offer}", offer=name),)
        case slip.OfferBack():
            return (say(lang, "Offer good again:{br}{offer}", offer=name),)
        case slip.OfferOpen(day=last_day):
            head = say(lang, "Your offer:{br}{offer}", offer=name)
            if last_day is None:
                return (head,)
            day, year = day_words(last_day, lang)
            return (head, say(lang, "valid until the end of {day}{br}{year}", day=day, year=year))
        case _:
            assert_never(line)


def _points_held(
    line: slip.OwnBalance | slip.HubBalance | slip.Pending | slip.NextReward | slip.Lapsing,
    lang: str,
    zone: str,
) -> tuple[str, ...]:
    """What the member holds, may spend later, misses, or may lose."""
    match line:
        case slip.OwnBalance(points):
            return (_counted(lang, "Balance: {points} point", "Balance: {points} points", points),)
        case slip.HubBalance(confirmed, at, provisional):
            day, time = day_numbers(at, zone)
            told = (
                say(lang, "Confirmed balance: {points}", points=number(confirmed, lang)),
                say(lang, "as of {day}{br}at {time}", day=_digits(day, lang), time=_digits(time, lang)),
            )
            since = _counted(
                lang,
                "Since then: {points} point (to be confirmed)",
                "Since then: {points} points (to be confirmed)",
                provisional,
            )
            return (*told, since) if provisional else told
        case slip.Pending(points, day_from):
            day, _ = day_words(day_from, lang)
            return (
                _counted(
                    lang,
                    "{points} point{br}can be used from {day}",
                    "{points} points{br}can be used from {day}",
                    points,
                    day=day,
                ),
            )
        case slip.NextReward(name_fa, points, name_en):
            reward = name_fa if lang == "fa" else name_en or name_fa
            return (
                _counted(
                    lang,
                    "Until {reward}: {points} more point",
                    "Until {reward}: {points} more points",
                    points,
                    reward=theirs(reward, lang),
                ),
            )
        case slip.Lapsing(points, last_day):
            day, year = day_words(last_day, lang)
            return (
                _counted(
                    lang,
                    "{points} point{br}valid only until the end of {day}{br}{year}",
                    "{points} points{br}valid only until the end of {day}{br}{year}",
                    points,
                    day=day,
                    year=year,
                ),
            )
        case _:
            assert_never(line)


def _counted(lang: str, one: str, many: str, points: int, **values: str) -> str:
    return count(lang, one, many, points, points=number(points, lang), **values)


def _digits(text: str, lang: str) -> str:
    return persian(text) if lang == "fa" else text


def _toman(rials: int, lang: str) -> str:
    """Rial ÷ 10; an odd rial as a decimal, because nothing is rounded."""
    toman, odd = divmod(rials, 10)
    return number(toman, lang) + (_digits(f".{odd}", lang) if odd else "")


# The steps of an explanation by code (club.explain); their values are numbered.
STEPS = {
    "new_rial": mark("all amounts here are in new rial, one of which is 10,000 rial"),
    "paid": mark("paid: {0} rial"),
    "less_cashback": mark("given back in cash: {0} rial"),
    "less_tip": mark("tip, which earns nothing: {0} rial"),
    "less_delivery": mark("delivery, which earns nothing: {0} rial"),
    "less_vat": mark("value added tax, which earns nothing: {0} rial"),
    "less_points": mark("paid with points: {0} rial"),
    "eligible": mark("of it counts: {0} rial"),
    "tier": mark("in tier {0}"),
    "rate": mark("rate: {0} point(s) for every {1} rial"),
    "contribution": mark("this purchase: {0} × {1} ÷ {2} = {3} points"),
    "bonus": mark("bonus {0}: {1} % more"),
    "bonus_points": mark("bonus {0}: {1} points more"),
    "offer": mark("offer {0}: {1} % more"),
    "offer_points": mark("offer {0}: {1} points more"),
    "together": mark("with bonuses: {0} × {1} + {2} = {3} points"),
    "cap_payment": mark("the most one payment can earn takes {0} points off: {1} left"),
    "cap_day": mark("the most one day can earn takes {0} points off: {1} left"),
    "cap_budget": mark("what the programme has to give takes {0} points off: {1} left"),
    "sum": mark("with what earlier purchases left over: {0} + {1} = {2}"),
    "points": mark("points for this purchase: {0}"),
    "carry_after": mark("left over for the next purchase: {0} points"),
    "stamp": mark("stamp card {0}: {1} more"),
    "available": mark("can be used from {0}"),
    "last_day": mark("valid until the end of {0}"),
    "not_a_sale": mark("this payment is no purchase (bill, top-up or the like) and earns nothing"),
    "below_minimum": mark("less than the smallest purchase that earns: {0} rial"),
    "baseline": mark("this payment was made before the club began here"),
    "no_programme": mark("no programme was active at that time"),
}
NAMED = frozenset({"tier", "bonus", "bonus_points", "offer", "offer_points", "stamp"})  # whose text is a name
# What a bonus is for, by its kind.
BONUSES = {
    "always": mark("of these days"),
    "happy-hours": mark("of these hours"),
    "amount": mark("for the amount"),
    "first-purchase": mark("for the first purchase"),
    "visit": mark("for the number of purchases"),
    "birthday": mark("for a birthday"),
    "anniversary": mark("for another year with us"),
    "lapsed": mark("for coming back"),
    "referral": mark("for who was sent by a member"),
    "feedback": mark("for an opinion told"),
}
