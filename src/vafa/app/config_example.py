"""config.example.toml, printed from the settings' table: `python -m vafa.app.config_example`.

A test compares the file with this text, so the example can neither miss a setting nor show a stale default.
"""

import json
import sys
import textwrap

from vafa.app.config import Terminal
from vafa.app.config_faults import Setting, sections, settings

_WIDTH = 100
_HEAD = """\
# Vafa: every setting with its meaning and its default. Those marked required have none.
# A setting left out has the value shown here.
"""
_EXAMPLES = {"id": "40217736", "name": "کافه نگین"}  # invented; settings without a default


def example_text() -> str:
    """The whole example file."""
    parts = [_HEAD]
    for name, section in sections().items():
        parts.append(f"\n[[{name}]]\n" if section is Terminal else f"\n[{name}]\n")
        parts += [_setting_text(setting) for setting in settings(section).values()]
    return "".join(parts)


def _setting_text(setting: Setting) -> str:
    notes = [str(setting.meta.description)]
    if setting.choices:
        notes.append("one of " + ", ".join(json.dumps(choice) for choice in setting.choices))
    if setting.meta.ge is not None:
        notes.append(f"{setting.meta.ge} to {setting.meta.le}")
    if setting.required:
        notes.append("required")
    comment = textwrap.fill("; ".join(notes), _WIDTH, initial_indent="# ", subsequent_indent="# ")
    value = _EXAMPLES[setting.name] if setting.required else setting.default
    return f"{comment}\n{setting.name} = {json.dumps(value, ensure_ascii=False)}\n"


if __name__ == "__main__":
    sys.stdout.write(example_text())
