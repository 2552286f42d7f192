"""docs/ says what the code does: the event table and the look-up codes.

After a change of the events, `python tests/test_docs.py` writes the table's first columns anew and keeps what
people wrote of the effects.
"""

import re
from pathlib import Path

import msgspec
import pytest

from vafa.cli.verbs import VERBS
from vafa.model import errors, events

DOCS = Path(__file__).parents[1] / "docs"
EVENTS = DOCS / "events.md"
ROW = re.compile(r"^\| *(\d+) *\| *(\w+) *\| *(.*?) *\| *(.*?) *\|$", re.MULTILINE)
Table = dict[int, tuple[str, tuple[str, ...]]]


def documented(text: str) -> Table:
    """kind number -> (event name, its fields in order), as the page has them."""
    return {int(n): (name, tuple(re.findall(r"`(\w+)`", fields))) for n, name, fields, _ in ROW.findall(text)}


def coded() -> Table:
    """The same of the code."""
    return {
        int(kind): (event.__name__, tuple(field.name for field in msgspec.structs.fields(event)))
        for kind, event in events.TYPES.items()
    }


def rewritten(text: str) -> str:
    """The page with the code's rows, each with the effect the page had for it."""
    effects = {int(number): effect for number, _, _, effect in ROW.findall(text)}
    rows = [
        f"| {number} | {name} | {' '.join(f'`{field}`' for field in fields)} | {effects.get(number, '?')} |"
        for number, (name, fields) in coded().items()
    ]
    first, *_, last = ROW.finditer(text)
    return text[: first.start()] + "\n".join(rows) + text[last.end() :]


def error_codes(cls: type[errors.VafaError]) -> set[str]:
    """The codes of an error class and all below it."""
    return {cls.code}.union(*(error_codes(child) for child in cls.__subclasses__()))


def test_the_event_table_is_the_code_s() -> None:
    assert documented(EVENTS.read_text()) == coded()


def test_every_event_s_effect_is_told() -> None:
    assert [row for *row, effect in ROW.findall(EVENTS.read_text()) if effect in {"", "?"}] == []


def test_a_field_that_the_page_lacks_is_noticed() -> None:
    planted = EVENTS.read_text().replace("`points` ", "", 1)
    assert documented(planted) != coded()
    assert documented(rewritten(planted)) == coded()


def anchors(page: str) -> set[str]:
    """What `#...` may lead to: the headings, as they are spelled in links."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = (DOCS / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    assert dead == []


def test_every_verb_the_installer_is_told_exists() -> None:
    code = re.findall(r"`([^`\n]+)`", (DOCS / "installing.md").read_text())
    verbs = {verb for span in code for verb in re.findall(r"(?:^|sudo )vafa ([a-z]+)\b", span)}
    assert {"doctor", "terminal", "sell"} <= verbs
    assert verbs <= VERBS.keys()


def test_every_error_s_code_can_be_looked_up() -> None:
    page = (DOCS / "operations.md").read_text()
    source = "\n".join(path.read_text() for path in (DOCS.parent / "src").rglob("*.py"))
    used = set(
        re.findall(
            r"\"((?:CFG|PRG|SER|TRM|LED|KEY|GAP|ASK|RUN|LINK|CLK|JOB|PRN|DSK|UDP|SYN|ENR|HUB|UPD)-\d{3})\"",
            source,
        )
    )
    missing = (used | error_codes(errors.VafaError)) - set(
        re.findall(r"^\| ([A-Z]+-\d{3}) ", page, re.MULTILINE)
    )
    assert missing == set()


if __name__ == "__main__":
    EVENTS.write_text(rewritten(EVENTS.read_text()))
