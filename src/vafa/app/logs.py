"""What the daemon writes to its log, and what it never writes.

Lines go to stderr: to journald as text with its priority prefix (sd-daemon(3)), else as JSON lines, or
for people on a terminal. The last processor before the writer masks card numbers and phones in every text
and replaces bytes by their length: callers do not log such things, and when one does it still never lands
on disk.

structlog's import costs what it does because its package start imports asyncio; importing single modules
of it runs the same start, so nothing is to be won by picking.
"""

import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from vafa.model.identity import phone_e164, phone_masked, without_phones
from vafa.model.pan import mask_pans

Format = Literal["auto", "journal", "json", "console"]
Entry = MutableMapping[str, Any]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
_ANY_DIGIT = "0-9۰-۹٠-٩"
# Every spelling phone_e164 takes, standing by itself: 9 and nine digits, behind 0, 98, 0098 or +98.
_PHONE = re.compile(
    rf"(?<![{_ANY_DIGIT}])(?:\+|[0۰٠]{{2}})?"
    rf"[{_ANY_DIGIT}](?:[ \-()]?[{_ANY_DIGIT}]){{9,12}}(?![{_ANY_DIGIT}])"
)
# What every number that is masked holds at least, card's or phone's: ten digits, with one sign between two.
# Nearly no text of the log does, and one look costs a sixth of the three that mask.
_LONG_NUMBER = re.compile(r"\d(?:[ \-()]?\d){9}")
_DEPTH_MAX = 6


def set_up(format_: Format, level: str, stream: TextIO | None = None) -> None:
    """Once, at the start of the daemon. `stream` is stderr when left out."""
    stream = sys.stderr if stream is None else stream
    chosen = _chosen(stream) if format_ == "auto" else format_
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *([] if chosen == "journal" else [structlog.processors.TimeStamper(fmt="iso", utc=True)]),
            mask,  # behind everything that adds text, before everything that writes it
            _writer(chosen),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def mask(_logger: object, _method: str, entry: Entry) -> Entry:
    """A processor: the entry without card numbers, phones and bytes, keys included, however deep."""
    return {str(_masked(key, 0)): _masked(value, 0) for key, value in entry.items()}


def _masked(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            clean = _masked_text(str(value))
            return value if clean == str(value) else clean
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case dict() if depth < _DEPTH_MAX:
            return {str(_masked(key, depth + 1)): _masked(one, depth + 1) for key, one in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEPTH_MAX:
            return [_masked(one, depth + 1) for one in value]
        case _:
            return _masked_text(str(value))


def _masked_text(text: str) -> str:
    if not _LONG_NUMBER.search(text):
        return text
    # The second look finds one behind other digits (`12:30 0912...`), which the first takes as one number.
    return without_phones(_PHONE.sub(_masked_phone, mask_pans(text)))


def _masked_phone(found: re.Match[str]) -> str:
    phone = phone_e164(found.group())
    return phone_masked(phone) if phone else found.group()


def _chosen(stream: TextIO) -> Format:
    """journal when systemd says that our stderr is its stream, console on a terminal, else JSON lines."""
    if stream.isatty():
        return "console"
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no descriptor behind it
        return "json"
    ours = f"{found.st_dev}:{found.st_ino}"
    return "journal" if os.environ.get("JOURNAL_STREAM") == ours else "json"


def _writer(chosen: Format) -> Any:
    match chosen:
        case "journal":
            return _journal_text
        case "console":
            colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
            return structlog.dev.ConsoleRenderer(colors=colors)
        case _:
            return structlog.processors.JSONRenderer(ensure_ascii=False)


def _journal_text(_logger: object, _method: str, entry: Entry) -> str:
    """`<6>event key=value ...`; each further line (a traceback) carries the priority too."""
    priority = f"<{_PRIORITIES.get(entry.pop('level', 'info'), 6)}>"
    exception = entry.pop("exception", "")
    head = " ".join([str(entry.pop("event", "")), *(f"{key}={value}" for key, value in entry.items())])
    lines = [head.replace("\n", " "), *str(exception).splitlines()]
    return "\n".join(priority + line for line in lines)
