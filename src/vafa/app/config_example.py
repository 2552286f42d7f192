"""config.example.toml, printed from the settings' table: `python -m vafa.app.config_example`.

A test compares the file with this text, so the example can neither miss a setting nor show a stale default.
"""

import json
import sys
import textwrap

from vafa.app.config import Printer, Terminal
from vafa.app.config_faults import Setting, sections, settings

_WIDTH = 100
_HEAD = """\
# Vafa: every setting with its meaning and its default. Those marked required have none.
# A setting left out has the value shown here.
"""
# Invented; settings without a default. A printer nobody has would be a fault, so that table is a comment.
_EXAMPLES = {
    "terminal.id": "40217736",
    "shop.name": "کافه نگین",
    "printer.name": "counter",
    "printer.address": "/dev/usb/lp0",
}


def example_text() -> str:
    """The whole example file."""
    parts = [_HEAD]
    for name, section in sections().items():
        text = f"[[{name}]]\n" if section in (Terminal, Printer) else f"[{name}]\n"
        text += "".join(_setting_text(name, setting) for setting in settings(section).values())
        parts.append("\n" + (textwrap.indent(text, "# ") if section is Printer else text))
    return "".join(parts)


def _setting_text(section: str, setting: Setting) -> str:
    notes = [str(setting.meta.description)]
    if setting.choices:
        notes.append("one of " + ", ".join(json.dumps(choice) for choice in setting.choices))
    if setting.meta.ge is not None:
        notes.append(f"{setting.meta.ge} to {setting.meta.le}")
    if setting.required:
        notes.append("required")
    comment = textwrap.fill("; ".join(notes), _WIDTH, initial_indent="# ", subsequent_indent="# ")
    value = _EXAMPLES[f"{section}.{setting.name}"] if setting.required else setting.default
    return f"{comment}\n{setting.name} = {json.dumps(value, ensure_ascii=False)}\n"


if __name__ == "__main__":
    sys.stdout.write(example_text())
