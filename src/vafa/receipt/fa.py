"""The Persian wording of every line (UX.md's table).

امتیاز is a point and مانده a balance: موجودی would suggest the bank account.

Each function of a line gives one string a printed line. BREAK marks where a terminal that may hold only one
number a line starts a new one.
"""

from typing import assert_never

from vafa.receipt import slip
from vafa.receipt.numerals import BREAK, day_numbers, day_words, identifier, number, persian, theirs


def lines(line: slip.AnyLine, zone: str) -> tuple[str, ...]:  # noqa: PLR0911, PLR0912  (a table: one return a row)
    """The printed lines of one content line; instants are shown in `zone`."""
    match line:
        case slip.OwnBalance() | slip.HubBalance() | slip.Pending() | slip.NextReward() | slip.Lapsing():
            return _points_held(line, zone)
        case slip.Header(shop):
            return (f"باشگاه مشتریان {theirs(shop.fa, 'fa')}",)
        case slip.Amount(rials):
            return (f"مبلغ: {number(rials, 'fa')} ریال{BREAK}برابر {_toman(rials)} تومان (تقسیم بر ده)",)
        case slip.Promise(points):
            return (f"پس از پرداخت موفق: {number(points, 'fa')} امتیاز",)
        case slip.Earned(points):
            return (f"امتیاز این خرید: {number(points, 'fa')}",)
        case slip.Waiting(points):
            return (f"{number(points, 'fa')} امتیاز برای این کارت محفوظ است",)
        case slip.ClaimCode(code):
            return (f"کد عضویت: {persian(code)}",)
        case slip.NothingEarned(minimum):
            return ("برای این خرید امتیازی ثبت نشد", f"حداقل خرید: {number(minimum, 'fa')} ریال")
        case slip.ClawedBack(points):
            return (f"{number(points, 'fa')} امتیاز بابت برگشت خرید کسر شد",)
        case slip.Message(text, _):
            return (theirs(text, "fa"),)
        case slip.Number(ours):
            return (f"شماره: {identifier(ours, 'fa')}",)
        case slip.CheckCode(code):
            return (f"کد کنترل: {persian(code)}",)
        case _:
            assert_never(line)


def _points_held(
    line: slip.OwnBalance | slip.HubBalance | slip.Pending | slip.NextReward | slip.Lapsing, zone: str
) -> tuple[str, ...]:
    """What the member holds, may spend later, misses, or may lose."""
    match line:
        case slip.OwnBalance(points):
            return (f"مانده امتیاز: {number(points, 'fa')}",)
        case slip.HubBalance(confirmed, at, provisional):
            day, time = day_numbers(at, zone)
            since = f"پس از آن: {number(provisional, 'fa')} امتیاز (در انتظار تأیید)"
            told = (
                f"مانده قطعی: {number(confirmed, 'fa')}",
                f"تا {persian(day)}{BREAK}ساعت {persian(time)}",
            )
            return (*told, since) if provisional else told
        case slip.Pending(points, day_from):
            day, _ = day_words(day_from, "fa")
            return (f"{number(points, 'fa')} امتیاز{BREAK}از {day} قابل استفاده است",)
        case slip.NextReward(reward, points):
            return (f"تا {theirs(reward, 'fa')}: {number(points, 'fa')} امتیاز دیگر",)
        case slip.Lapsing(points, last_day):
            day, year = day_words(last_day, "fa")
            return (f"{number(points, 'fa')} امتیاز{BREAK}فقط تا پایان {day}{BREAK}{year} معتبر است",)
        case _:
            assert_never(line)


def _toman(rials: int) -> str:
    """Rial ÷ 10; an odd rial as a decimal, because nothing is rounded."""
    toman, odd = divmod(rials, 10)
    return number(toman, "fa") + (persian(f".{odd}") if odd else "")


STEPS = {
    "paid": "مبلغ پرداخت: {0} ریال",
    "eligible": "مبلغ مشمول امتیاز: {0} ریال",
    "rate": "نرخ: {0} امتیاز برای هر {1} ریال",
    "contribution": "سهم این خرید: {0} × {1} ÷ {2} = {3} امتیاز",
    "sum": "با باقی‌مانده خریدهای پیش: {0} + {1} = {2}",
    "points": "امتیاز این خرید: {0}",
    "carry_after": "برای خرید بعد می‌ماند: {0} امتیاز",
    "not_a_sale": "این پرداخت خرید نیست (قبض، شارژ یا مانند آن) و امتیاز ندارد",
    "below_minimum": "کمتر از حداقل خرید: {0} ریال",
    "baseline": "این پرداخت پیش از آغاز باشگاه انجام شده است",
    "no_programme": "در آن زمان برنامه‌ای برای امتیاز فعال نبود",
}
