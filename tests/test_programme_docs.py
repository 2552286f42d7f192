"""docs/programme.md names every setting with its default, and its documents and figures are right."""

import re
from pathlib import Path

import pytest
from club_rules import rules, sale

from vafa.cli.programme import command
from vafa.club.programme import parse
from vafa.club.settings import GROUPS, SETTINGS, Setting, Shape, written

PAGE = (Path(__file__).parents[1] / "docs" / "programme.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def section(title: str) -> str:
    """The part of the page below a heading that begins with `title`."""
    return PAGE.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def told(text: str) -> dict[str, str]:
    """setting -> what its default is said to be."""
    return {name: default for name, default, _ in ROW.findall(text)}


def is_right(default: str, setting: Setting) -> bool:
    """Whether a default is told as it is; an empty one in words."""
    if setting.default is None:
        return default.startswith("must be there")
    if setting.default in ("", ()) or (setting.default == 0 and not default.startswith("`")):
        return "`" not in default or default.startswith("must be there")
    return default.split(" ", maxsplit=1)[0] == f"`{written(setting.default)}`"


def test_every_setting_of_a_section_is_told_with_its_default() -> None:
    page = told(section("Sections"))
    assert page.pop("schema") == "must be there"
    assert page.keys() == SETTINGS.keys()
    assert [place for place, default in page.items() if not is_right(default, SETTINGS[place])] == []


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_of_an_entry_is_told_with_its_default(group: str) -> None:
    page = {name: said for name, said in told(section(f"`[{group}.NAME]`")).items() if name in GROUPS[group]}
    assert page.keys() == GROUPS[group].keys()
    assert [name for name, default in page.items() if not is_right(default, GROUPS[group][name])] == []


@pytest.mark.parametrize(
    "setting", [each for group in (SETTINGS, *GROUPS.values()) for each in group.values() if each.choices]
)
def test_every_choice_is_told(setting: Setting) -> None:
    if setting.shape is Shape.CHOICE:
        missing = [each for each in setting.choices if f'"{each}"' not in PAGE and f"`{each}`" not in PAGE]
        assert missing == []


def test_the_smallest_programme_on_the_page_is_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert parse(text).is_plain


def test_the_table_of_stackings_is_what_a_sale_earns() -> None:
    rows = re.findall(r"^\| `(add|multiply|best|exclusive)` \| (\d+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 4
    two = '[bonus.double]\nkind = "always"\nextra = 100\n[bonus.more]\nkind = "always"\nextra = 50\n'
    for stacking, points in rows:
        programme = rules(two, f'points = 7\nper = 3\nstacking = "{stacking}"')
        assert sale(programme, 1).points == int(points)


def test_every_verb_of_the_page_exists_and_every_one_is_on_it() -> None:
    named = set(re.findall(r"vafa programme (\w+)", PAGE))
    assert named == set(command.commands)
