"""What `vafa demo --hub` says: (en, fa) by name, beside the morning's words."""

TITLE = (
    "Two devices of one shop and their hub: real processes, PostgreSQL, TLS; links that can be cut.",
    "دو دستگاه یک فروشگاه و هاب آن‌ها: پردازش‌های واقعی، PostgreSQL و TLS؛ پیوندها قطع‌شدنی‌اند.",
)
KEPT = (
    "Ledgers, keys and logs of both devices are in {where}.",
    "دفترها، کلیدها و گزارش‌های هر دو دستگاه در {where} ماندند.",
)

STEPS: dict[str, tuple[str, str]] = {
    "alone": (
        "Both devices sell before anybody has heard of a hub: {count} payments each.",
        "هر دو دستگاه پیش از آشنایی با هاب می‌فروشند: هر کدام {count} پرداخت.",
    ),
    "enrol": (
        "The hub is there. Each device is enrolled with a one-time code; what it sold before goes up first.",
        "هاب آماده است. هر دستگاه با کد یک‌بارمصرف ثبت می‌شود و فروش پیشین را می‌فرستد.",
    ),
    "single": (
        "One more payment at the left counter, and its row goes up at once.",
        "یک پرداخت دیگر و ارسال بی‌درنگ آن.",
    ),
    "cut": (
        "The right counter's link is cut. {count} payments there, {others} at the left one.",
        "پیوند صندوق راست قطع می‌شود. {count} پرداخت آن‌جا و {others} پرداخت در صندوق چپ.",
    ),
    "killed": (
        "The hub's power goes too: kill -9. {count} payments more on each device.",
        "برق هاب هم می‌رود: kill -9. {count} پرداخت دیگر در هر دستگاه.",
    ),
    "back": ("The hub is started again, the link is mended.", "هاب دوباره روشن و پیوند برقرار می‌شود."),
    "again": (
        "A cash register that missed an answer says a payment again: the same answer.",
        "صندوقی که پاسخ را نگرفته پرداخت را دوباره می‌گوید: همان پاسخ.",
    ),
}
SLOWEST = ("slowest answer {ms} ms", "کندترین پاسخ {ms} میلی‌ثانیه")
WAITING = ("{device}: {rows} rows wait, sales go on", "{device}: {rows} سطر در انتظار، فروش ادامه دارد")
LEFT, RIGHT = ("left counter", "صندوق چپ"), ("right counter", "صندوق راست")

PROOFS: dict[str, tuple[str, str]] = {
    "told": (
        "{told} payments told at two counters, {held} at the hub: {lost} lost, {doubled} doubled",
        "{told} پرداخت در دو صندوق، {held} در هاب: {lost} گم‌شده، {doubled} تکراری",
    ),
    "chain": (
        "{device}: row {seq}, chain {chain}, books {books}; the hub's: {theirs}",
        "{device}: سطر {seq}، زنجیره {chain}، دفترها {books}؛ از هاب: {theirs}",
    ),
    "queue": (
        "{device}: {waiting} rows wait, {suspense} in suspense",
        "{device}: {waiting} در انتظار، {suspense} معلق",
    ),
    "offline": (
        "{count} payments without a link or a hub: {answered} answered, each with its points",
        "{count} پرداخت بدون پیوند یا هاب: {answered} پاسخ با امتیاز",
    ),
    "repeat": (
        "a payment said again: {same} of {said} answers are the same",
        "تکرار پرداخت: {same} از {said} پاسخ یکسان",
    ),
    "alone": (
        "an event alone cost {payload} bytes of payload, {link} on a link that was open",
        "یک رویداد تنها {payload} بایت، {link} بایت روی پیوند باز",
    ),
    "batch": (
        "{rows} events together cost {payload} bytes: {each} each",
        "{rows} رویداد با هم {payload} بایت: هر کدام {each}",
    ),
    "verify": ("{device}: vafa verify: exit code {code}", "{device}: vafa verify: کد خروج {code}"),
    "stopped": ("all stopped in order: exit codes {codes}", "توقف منظم: کدهای خروج {codes}"),
}
