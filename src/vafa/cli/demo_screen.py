"""The demo's voice: steps, receipts in frames, what was proven. No colour and no motion off a terminal."""

import os
import sys
from collections.abc import Iterable, Mapping
from textwrap import indent
from typing import Any, Literal

import click

from vafa.cli import demo_words as words
from vafa.cli.demo_proof import Proof
from vafa.cli.demo_words import PROOFS

Language = Literal["en", "fa"]
_ISOLATE, _END_ISOLATE = "\u2067", "\u2069"


class Screen:
    """`to_see` False says nothing at all: the summary is asked for as JSON."""

    def __init__(self, language: Language, *, to_see: bool) -> None:
        self._column = 0 if language == "en" else 1
        self._to_see = to_see
        self._moves = to_see and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._steps = 0

    def words(self, pair: tuple[str, str], **facts: Any) -> str:
        """A text of `demo_words` in the language asked for."""
        return pair[self._column].format(**facts)

    def say(self, text: str, **style: Any) -> None:
        """One line."""
        if self._to_see:
            shown = f"{_ISOLATE}{text}{_END_ISOLATE}" if self._column and text else text
            click.echo(click.style(shown, **style) if self._moves else shown)

    def step(self, name: str, **facts: Any) -> None:
        """The next thing that happens in the shop."""
        self.begin(words.STEPS[name], **facts)

    def begin(self, told: tuple[str, str], **facts: Any) -> None:
        """The next thing that happens, in these words."""
        self._steps += 1
        self.say("")
        self.say(f"{self._steps:>2}  {self.words(told, **facts)}", bold=True)

    def then(self, name: str, **facts: Any) -> None:
        """More of the same step."""
        self.say(f"    {self.words(words.STEPS[name], **facts)}", bold=True)

    def sold(self, answer: dict[str, Any], amount: int) -> None:
        """A sale's end in one line."""
        paid = answer.get("paid")
        outcome = self.words(words.OUTCOMES[answer["outcome"]])
        if paid is None:
            text = self.words(words.NOT_PAID, rials=f"{amount:,}", outcome=outcome)
            return self.say(f"    - {text}   {answer.get('text', '')}".rstrip())
        text = self.words(words.PAID, rials=f"{amount:,}", outcome=outcome, points=paid["points"])
        if "balance" in paid:
            text += self.words(words.BALANCE, balance=paid["balance"])
        if "claim" in paid:
            text += self.words(words.WAITING, claim=paid["claim"])
        return self.good(f"{text}   {paid['number']}")

    def good(self, text: str) -> None:
        """One line that all is well."""
        self.say(f"    ✓ {text}", fg="green")

    def paper(self, frame: str) -> None:
        """A receipt, its frame drawn already."""
        if self._to_see:
            click.echo(indent(frame, "      "))

    def tick(self, elapsed_s: float) -> None:
        """Still waiting: shown on a terminal only, in place."""
        if self._moves and elapsed_s >= 1:
            waited = self.words(words.SLOW, seconds=int(elapsed_s))
            click.echo(f"\r    … {waited}  ", nl=False)

    def clear(self) -> None:
        """The waiting is over."""
        if self._moves:
            click.echo("\r\033[K", nl=False)

    def verb(self, typed: str, printed: str) -> None:
        """A command as it was typed, and what it printed."""
        if self._to_see:
            self.say("")
            self.say(f"$ {typed}", bold=True)
            click.echo(printed.rstrip("\n"))

    def proven(self, proofs: Iterable[Proof], named: Mapping[str, tuple[str, str]] = PROOFS) -> None:
        """The table at the end, in the words of `named`."""
        self.say("")
        self.say(self.words(words.PROVEN), bold=True)
        missed = 0
        for proof in proofs:
            missed += not proof.holds
            mark, colour = ("✓", "green") if proof.holds else ("✗", "red")
            counted = {name: self._named(fact) for name, fact in proof.facts.items()}
            self.say(f"  {mark} {self.words(named[proof.key], **counted)}", fg=colour)
        end = self.words(words.NOT_ALL, count=missed) if missed else self.words(words.ALL_PROVEN)
        self.say(end, bold=True)

    def _named(self, fact: int | str) -> int | str:
        """An outcome or a state in the language asked for; a number as it is."""
        return self.words(words.OUTCOMES.get(fact, (fact, fact))) if isinstance(fact, str) else fact
