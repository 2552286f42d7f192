"""How a bug is planted in the rules: one function of ours is replaced by a wrong one, for a test's time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

Patch = Callable[[pytest.MonkeyPatch], None]
WORLDS = 12


class Bug(NamedTuple):
    """`wanted`: what must be in the programme for it to show, beside what chance gives. `worlds`: how many
    are tried at most; a bug that shows seldom needs more."""

    patch: Patch
    wanted: dict[str, Any]
    worlds: int = WORLDS


def instead(where: Any, name: str, wrong: Callable[[Any], Any]) -> Patch:
    """Replace `where.name` by what `wrong` makes of it."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(where, name, wrong(getattr(where, name)))

    return patch


def both(*patches: Patch) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(monkeypatch)

    return patch
