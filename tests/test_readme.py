"""README.md names only what exists: verbs, files and links."""

import os
import re
from pathlib import Path

import pytest

from vafa.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def verbs_named(text: str) -> set[str]:
    """The verbs in `vafa VERB`, in code spans and in code blocks."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return {verb for span in code for verb in re.findall(r"(?:^|/)vafa ([a-z]+)\b", span, re.MULTILINE)}


def shell_blocks(section: str) -> list[str]:
    """The commands of a section, a line each, without their comments."""
    body = README.split(f"## {section}", 1)[1].split("\n## ", 1)[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", body, re.DOTALL)).splitlines()
    return [line.split("#")[0].strip() for line in lines]


def test_every_verb_the_readme_names_exists() -> None:
    assert verbs_named(README) - VERBS.keys() == set()


def test_every_verb_stands_in_the_readme() -> None:
    assert VERBS.keys() - verbs_named(README) == set()


def test_a_verb_that_does_not_exist_is_found() -> None:
    assert verbs_named("`vafa dance` and\n```sh\n/opt/vafa/bin/vafa sing --loud\n```") == {"dance", "sing"}


@pytest.mark.parametrize("command", shell_blocks("Try it"))
def test_a_newcomer_s_command_is_a_program(command: str) -> None:
    assert os.access(ROOT / command, os.X_OK)


@pytest.mark.parametrize(
    "name",
    [
        w
        for line in shell_blocks("Install it")
        for w in re.findall(r"(?:(?<=644 )systemd/\S+|config\.\S+\.toml)", line)
    ],
)
def test_what_the_installer_copies_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
