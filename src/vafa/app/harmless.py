"""Text that may leave the shop: no card number, phone, key or token in it, however it is written.

The log's own masking (model/pan, app/logs) knows what we write. A bundle carries what others wrote: system
logs, error texts, names of ports. So here every way to write digits is made one first (alphabets, widths,
escapes, invisible letters), numbers are looked for in groups too, and what looks like a key goes whole. It
rather hides too much than too little: a hidden number can be asked for.
"""

import re
import unicodedata
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Any

from vafa.app.logs import mask
from vafa.model.identity import phone_e164, phone_masked
from vafa.model.pan import looks_like_pan, mask_pans

ROUNDS_MAX = 4  # masking one thing may lay another open; the last round changes nothing
DEPTH_MAX = 12
HEX_DIGITS_MIN = 16  # eight bytes: a token; ids of ours that support needs are shorter
_KEPT_CONTROLS = "\n\t"
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})|&#(\d{1,6});")
_NAMED = re.compile(
    r"(?i)\b([\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api[-_]?key|private[-_ ]?key|"
    r"authorization|credential|recovery[-_ ]?code|(?:enrol|claim)\w*[-_ ]?code)\"?\s*[=:]\s*\"?"
    r"(?:(?:bearer|basic)\s+)?|\bbearer\s+)([^\s\",;]+)"
)
_USER_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_PEM = re.compile(r"-----BEGIN [^-\n]{1,80}-----.{0,5000}?(?:-----END [^-\n]{1,80}-----|\Z)", re.DOTALL)
_HEX = re.compile(rf"(?<![0-9A-Za-z])[0-9a-fA-F]{{{HEX_DIGITS_MIN},}}|[0-9a-fA-F]{{{HEX_DIGITS_MIN},}}")
_HEX_PAIRS = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{2}(?:[: -][0-9a-fA-F]{2}){7,}(?![0-9a-fA-F])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_KEY_LETTERS_MIN = 20
_CHANGE = re.compile("(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[a-zA-Z]")
# Times of a log stand in so many shapes of digits that some would pass for numbers of cards.
_TIME = re.compile(
    r"(\b(?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
)
_SEPARATOR = r"[ \-.,_/|:()+\t]{1,2}"
_GROUPS = re.compile(rf"(?<!\d)\+?\d+(?:{_SEPARATOR}\d+)+(?!\d)")
_DIGITS = range(10, 20)  # of a phone or a card
LINE_LETTERS_MAX = 4_000  # a longer line is cut: no log needs it, and looking takes time


def harmless(text: str) -> str:
    """`text` as it may leave the shop."""
    lines = _PEM.sub("<key>", _spelled_one_way(text)).split("\n")
    return "\n".join(map(_harmless_line, lines))


def _harmless_line(line: str) -> str:
    clean = line if len(line) <= LINE_LETTERS_MAX else line[:LINE_LETTERS_MAX] + " <cut>"
    for _ in range(ROUNDS_MAX):
        before, clean = clean, _hidden(clean)
        if clean == before:
            break
    return clean


def harmless_value(value: Any, depth: int = 0) -> Any:
    """A value of JSON with every text in it harmless, names of fields included; bytes are not JSON."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if harmless(str(value)) == str(value) else harmless(str(value))
        case dict() if depth < DEPTH_MAX:
            return {harmless(str(name)): harmless_value(one, depth + 1) for name, one in value.items()}
        case list() | tuple() if depth < DEPTH_MAX:
            return [harmless_value(one, depth + 1) for one in value]
        case _:
            return harmless(str(value))


def _spelled_one_way(text: str) -> str:
    """Digits of every alphabet as 0-9, escapes undone, invisible letters gone, odd blanks as blanks."""
    text = _ESCAPE.sub(_unescaped, text)
    letters = []
    for letter in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(letter)
        if kind == "Nd":
            letters.append(str(unicodedata.decimal(letter)))
        elif letter in _KEPT_CONTROLS or kind not in ("Cc", "Cf", "Cs", "Co", "Cn"):
            letters.append(letter)
    return "".join(letters)


def _unescaped(escape: re.Match[str]) -> str:
    """The letter behind an escape when it is a digit; else the escape as it stands."""
    code = escape.group(1) or escape.group(2)
    number = int(code, 16) if code else int(escape.group(3))
    letter = chr(number) if number < 0x110000 else ""
    return letter if letter and unicodedata.category(letter) == "Nd" else escape.group()


def _hidden(text: str) -> str:
    text = _USER_IN_URL.sub("<user>@", text)
    text = _NAMED.sub(r"\1<hidden>", text)
    text = _HEX.sub(lambda run: f"<{len(run.group())} hex digits>", text)
    text = _HEX_PAIRS.sub("<hex>", text)
    text = _BASE64.sub(_without_base64, text)
    parts = _TIME.split(text)
    return "".join(part if number % 2 else _without_numbers(part) for number, part in enumerate(parts))


def _without_numbers(text: str) -> str:
    masked = mask_pans(str(mask(None, "", {"text": text})["text"]))
    return _GROUPS.sub(lambda run: _without_groups(run.group()), masked)


def _without_groups(run: str) -> str:
    """A run of groups of digits with every card number or phone among them hidden, at groups' edges."""
    groups = [(found.start(), found.end()) for found in re.finditer(r"\d+", run)]
    parts, done, first = [], 0, 0
    while first < len(groups):
        last, shown = _hidden_from(run, groups, first)
        if shown:
            parts += [run[done : groups[first][0]], shown]
            done = groups[last][1]
        first = last + 1
    return "".join(parts) + run[done:]


def _hidden_from(run: str, groups: list[tuple[int, int]], first: int) -> tuple[int, str]:
    """(last group, what to show) of the longest number that begins at group `first`; (first, '') for none."""
    count, lasts = 0, []
    for last in range(first, len(groups)):
        count += groups[last][1] - groups[last][0]
        if count not in _DIGITS and count > _DIGITS[0]:
            break
        if count in _DIGITS:
            lasts.append(last)
    for last in reversed(lasts):
        part = run[groups[first][0] : groups[last][1]]
        uniform = len(set(re.findall(r"\D+", part))) <= 1
        shown = _number_hidden(re.sub(r"\D", "", part), uniform=uniform)
        if shown:
            return last, shown
    return first, ""


def _number_hidden(digits: str, *, uniform: bool) -> str:
    """What stands for a card number or phone; '' when the digits are neither."""
    phone = phone_e164(digits)
    if phone:
        return phone_masked(phone)
    if uniform and looks_like_pan(digits):
        return mask_pans(digits)
    return ""


def _without_base64(found: re.Match[str]) -> str:
    """Hidden when digits of a card or phone are in it, or when it looks like a key."""
    text = found.group()
    changes = len(_CHANGE.findall(text))  # of letters' case and digits: words and paths have few
    key_like = len(text) >= _KEY_LETTERS_MIN and changes * 4 >= len(text)
    return f"<{len(text)} letters>" if key_like or any(map(_holds_number, _decoded(text))) else text


def _decoded(text: str) -> Iterator[str]:
    """What base64 says in each of its four phases, as text of one or two bytes a letter."""
    letters = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    for phase in range(4):
        part = letters[phase:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            data = b64decode(part + "=" * (-len(part) % 4))
        except (Base64Error, ValueError):
            continue
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            for skipped in (0, 1):
                yield data[skipped:].decode(encoding, "replace")


def _holds_number(text: str) -> bool:
    """True when seven digits in a row stand there (the ends of a cut piece are lost), in any alphabet."""
    plain = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf"))
    return re.search(r"\d(?:[ \-.\u00a0]?\d){6,}", plain) is not None
