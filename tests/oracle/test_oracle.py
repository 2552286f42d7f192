"""The counter agrees with a slow model of a member's life over thousands of random lives, and the model knows
wrong rules: each bug planted in ours is found.
"""

import ast
import sys
from collections import Counter
from pathlib import Path

import histories
import pytest
from planted_earning import EARNING
from planted_offers import OFFERS
from planted_people import PLANTED_PEOPLE
from planted_value import VALUE

from vafa.books.effect import Impossible

HERE = Path(__file__).parent
SEEDS = (78, *range(80, 88), 94)  # worlds of all themes
# Of all that can happen, at least so many in the few lives of this test; scripts/histories has many more.
SEEN_MIN = {
    "purchases": 2_500, "purchases in new rial": 50, "purchases with parts that earn nothing": 200,
    "undoings": 800, "undoings in the other rial": 10, "cross-version": 40, "claims": 50, "merges": 100,
    "unmerges": 10, "moves": 20, "caps, payment": 50, "caps, day": 20, "caps, budget": 50, "lapses": 200,
    "debts": 50, "debts beyond their cap": 10, "holds timed out": 20, "redemptions, amount-off": 20,
    "redemptions, partly applied": 10, "redemptions, free-item": 20, "redemptions, threshold": 10,
    "redemptions, stamps": 10, "returns": 10, "returns of lapsed points": 5, "points back with a sale": 10,
    "lapsed points back with a sale": 5, "downgrades, one_down": 10, "downgrades, to_qualified": 10,
    "downgrades, inactive": 10, "bonuses, birthday": 5, "bonuses, feedback": 5, "bonuses, anniversary": 1,
    "offers given by hand": 200, "offers given to a segment": 50, "offers given, first-purchase": 50,
    "offers given, purchase": 50, "offers given, visit": 20, "offers given, spend": 20,
    "offers given, tier-up": 10, "offers given, birthday": 20, "offers given, lapsed": 50,
    "offers given, returned": 20, "offers used by a purchase": 50, "offers back with a purchase": 20,
    "offers lapsed": 200, "offers withdrawn": 20, "redemptions, offer": 10,
    "offers back by a return": 5,
    "cards bound, a family's": 50, "purchases with a family's card that wait": 50,
    "purchases with a family's card of one person": 10, "purchases with a family's card, one named": 20,
    "claims of what a family's card had waiting": 20,
    "people forgotten": 150, "forgotten with points": 30, "forgotten with a card": 15,
    "forgotten with two phones": 15, "joined again": 100,
    "offers by hand, too many": 200, "offers a rule may not give, too many": 5,
    "offers to a segment, too many": 20,
}  # fmt: skip
PLANTED = EARNING | VALUE | OFFERS | PLANTED_PEOPLE


def test_the_oracle_imports_nothing_of_ours() -> None:
    allowed = {"oracle", "persiantools", *sys.stdlib_module_names}
    modules = [path for path in HERE.glob("*.py") if not path.name.startswith("test_")]
    assert {path.name for path in modules} >= {
        "life.py", "earning.py", "spending.py", "purse.py", "coupons.py",
    }  # fmt: skip
    for module in modules:
        tree = ast.parse(module.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, (module, names)


def test_thousands_of_random_lives_agree_with_the_oracle() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        histories.run(seed, histories.LIVES_A_LEDGER, seen, histories.scratch())
    assert {what: seen[what] for what, least in SEEN_MIN.items() if seen[what] < least} == {}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_bug_planted_in_the_rules_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patch, wanted, worlds = PLANTED[bug]
    patch(monkeypatch)

    def lives() -> None:
        for seed in range(1_000, 1_000 + worlds):
            histories.run(seed, 60, Counter(), histories.scratch(), wanted)

    with pytest.raises((histories.Disagreement, Impossible)):
        lives()
