"""What the demo says, in English and Persian: (en, fa) by name. Persian lines are isolated by the screen."""

TITLE = (
    "A morning at Kafe Negin: a simulated Sadad terminal on a pty, the real daemon, real bytes.",
    "یک صبح در کافه نگین: یک کارتخوان سداد شبیه‌سازی‌شده، سرویس واقعی و بایت‌های واقعی.",
)
KEPT = (
    "Ledger, key and log are in {where}; look with: vafa journal --config {where}/config.toml",
    "دفتر کل، کلید و گزارش‌ها در {where} ماندند: vafa journal --config {where}/config.toml",
)
PICTURES = (
    "The {count} slips as the receipt printer drew them: {first} ... {last}",
    "{count} رسید، همان‌گونه که چاپگر کشید: {first} ... {last}",
)
NOT_KEPT = (
    "{count} slips came out of the receipt printer; vafa demo --keep DIR keeps their pictures.",
    "{count} رسید از چاپگر بیرون آمد؛ vafa demo --keep DIR تصویرشان را نگه می‌دارد.",
)
NO_PICTURES = (
    "No receipt printer today: this machine cannot join Persian letters ({fix}). All the rest goes on.",
    "بدون چاپگر رسید: این دستگاه نمی‌تواند حروف فارسی را به هم بچسباند ({fix}). بقیه ادامه دارد.",
)

STEPS: dict[str, tuple[str, str]] = {
    "unknown": (
        "A customer nobody knows pays. The points wait on the card; the slip carries a code.",
        "مشتری ناشناس می‌پردازد. امتیاز روی کارت می‌ماند و کد عضویت چاپ می‌شود.",
    ),
    "joins": (
        "Reza joins with his phone, and pays.",
        "رضا با شماره تلفن عضو می‌شود و می‌پردازد.",
    ),
    "repeat": (
        "The cash register missed the answer and asks again: the same answer, no second charge.",
        "صندوق پاسخ را نگرفت و دوباره می‌پرسد: همان پاسخ، بدون برداشت دوباره.",
    ),
    "claim": (
        "The first customer is Sara. She brings her code back: vafa claim {code}",
        "مشتری نخست سارا است و کدش را می‌آورد: vafa claim {code}",
    ),
    "known": (
        "Sara's next purchase. Her card is enough now; the paper says her balance.",
        "خرید بعدی سارا. اکنون کارت کافی است و رسید مانده را می‌گوید.",
    ),
    "noise": (
        "Noise on the line, and messages in pieces.",
        "خط نویز دارد و پیام‌ها تکه‌تکه می‌رسند.",
    ),
    "declined": ("A card without money.", "کارتی که موجودی ندارد."),
    "cancelled": ("A customer cancels at the terminal.", "مشتری در کارتخوان انصراف می‌دهد."),
    "twice": (
        "The terminal says its answer twice.",
        "کارتخوان پاسخش را دو بار می‌فرستد.",
    ),
    "equal": (
        "Two equal sales, one right after the other: two payments.",
        "دو خرید برابر پشت سر هم: دو پرداخت.",
    ),
    "old": (
        "Old firmware: the terminal's answer holds the whole card number.",
        "نرم‌افزار قدیمی: پاسخ کارتخوان شماره کامل کارت را دارد.",
    ),
    "lost": (
        "Sara pays, and the terminal's answer never arrives. Its journal is asked after {seconds} s.",
        "سارا می‌پردازد و پاسخ کارتخوان نمی‌رسد. پس از {seconds} ثانیه گردش کارتخوان پرسیده می‌شود.",
    ),
    "cut": (
        "Reza is at the keypad, and the power goes: kill -9.",
        "رضا رمز را وارد می‌کند و برق می‌رود: kill -9",
    ),
    "paid_alone": (
        "The terminal, alone, takes his money: {rials} rial, RRN {rrn}. Nobody hears its answer.",
        "کارتخوان به‌تنهایی پول را می‌گیرد: {rials} ریال، شماره مرجع {rrn}. کسی نمی‌شنود.",
    ),
    "back": (
        "Power is back. The daemon asks the terminal's journal; the cash register asks again.",
        "برق برمی‌گردد. سرویس گردش کارتخوان را می‌پرسد؛ صندوق دوباره می‌پرسد.",
    ),
    "on": ("And the morning goes on.", "و صبح ادامه دارد."),
}

PAID = ("{rials} rial   {outcome}   +{points} points", "{rials} ریال   {outcome}   {points}+ امتیاز")
NOT_PAID = ("{rials} rial   {outcome}   nothing charged", "{rials} ریال   {outcome}   چیزی برداشت نشد")
BALANCE = ("   balance {balance}", "   مانده {balance}")
WAITING = ("   waiting for code {claim}", "   در انتظار کد {claim}")
SLOW = ("{seconds} s", "{seconds} ثانیه")
SAME = ("same answer, word for word", "همان پاسخ، بی کم و کاست")

OUTCOMES = {
    "approved": ("approved", "پرداخت شد"),
    "declined": ("declined", "رد شد"),
    "cancelled": ("cancelled", "لغو شد"),
    "timed_out": ("timed out", "بی‌پاسخ"),
    "unsure": ("unsure", "نامعلوم"),
    "resolved_paid": ("paid, by the terminal's journal", "پرداخت‌شده، به گواهی گردش کارتخوان"),
    "resolved_unpaid": ("not paid, by the terminal's journal", "پرداخت‌نشده، به گواهی گردش کارتخوان"),
    "open": ("open", "باز"),
    "never asked": ("never asked", "پرسیده‌نشده"),
    "paying": ("taking a payment", "در حال پرداخت"),
}

PROVEN = ("What was proven", "آنچه ثابت شد")
ALL_PROVEN = ("All of it holds.", "همه برقرار است.")
NOT_ALL = ("{count} of it does not hold.", "{count} مورد برقرار نیست.")

PROOFS: dict[str, tuple[str, str]] = {
    "heard": (
        "{approved} sales approved at the terminal, {awarded} awarded in the ledger",
        "{approved} خرید تأییدشده در کارتخوان، {awarded} امتیازدهی در دفتر",
    ),
    "lost": ("{lost} lost: approved at the terminal, not in the ledger", "{lost} گم‌شده در دفتر"),
    "doubled": ("{doubled} doubled: awarded more often than paid", "{doubled} امتیازدهی تکراری"),
    "amounts": ("{differ} amounts or references that differ", "{differ} مبلغ یا شماره مرجع متفاوت"),
    "unpaid": (
        "{unpaid} declined or cancelled, {wrong} of them ended otherwise in the ledger",
        "{unpaid} رد یا لغو، {wrong} مورد با پایانی دیگر در دفتر",
    ),
    "points": (
        "{expected} points by the terminal's amounts, {found} in the ledger",
        "{expected} امتیاز از مبلغ‌های کارتخوان، {found} در دفتر",
    ),
    "repeats": (
        "{repeats} requests repeated, {unlike} answered otherwise than before",
        "{repeats} درخواست تکراری، {unlike} پاسخ متفاوت",
    ),
    "lost_answer": (
        "the sale whose answer was lost: {outcome}, awarded {times} time",
        "خریدی که پاسخش گم شد: {outcome}، {times} بار امتیاز",
    ),
    "power_cut": (
        "the sale in flight at the power cut: {outcome}, awarded {times} time",
        "خرید هنگام قطع برق: {outcome}، {times} بار امتیاز",
    ),
    "in_flight": (
        "at the moment of kill -9 the terminal was {state}",
        "هنگام kill -9 وضعیت کارتخوان: {state}",
    ),
    "slips": (
        "{awarded} awards, {printed} slips out of the receipt printer",
        "{awarded} امتیازدهی، {printed} رسید از چاپگر",
    ),
    "certain": ("{unsure} sales without a certain end", "{unsure} خرید با پایان نامعلوم"),
    "card": (
        "the whole card number: {found} times in {bytes:,} bytes; planted in {planted} spellings, all found",
        "شماره کامل کارت: {found} بار در {bytes:,} بایت؛ کاشته به {planted} شکل، همه یافت شد",
    ),
    "status": ("vafa status: exit code {code}", "vafa status: کد خروج {code}"),
    "verify": ("vafa verify: exit code {code}", "vafa verify: کد خروج {code}"),
    "why": ("vafa why: exit code {code}", "vafa why: کد خروج {code}"),
    "stopped": ("the daemon stopped in order: exit code {code}", "توقف منظم سرویس: کد خروج {code}"),
}
