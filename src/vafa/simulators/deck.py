"""Invented bank cards: real issuers' first digits, invented numbers, a right check digit."""

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from vafa.model.pan import luhn_ok

# Melli, Mellat, Saman, Pasargad, Tejarat, Saderat, Keshavarzi, Sepah, Refah, Maskan
ISSUERS = ("603799", "610433", "621986", "502229", "627353", "603769", "603770", "589210", "589463", "628023")


@dataclass(frozen=True)
class Card:
    """One invented card. Its number stays out of `repr`, as every card number does."""

    number: str = field(repr=False)

    @property
    def mask(self) -> str:
        """`621986******3864`, as a sale's RESPONSE shows it."""
        return f"{self.number[:6]}******{self.number[-4:]}"

    @property
    def short_mask(self) -> str:
        """`621986**3864`, as journal rows and card-info show it."""
        return f"{self.number[:6]}**{self.number[-4:]}"

    @property
    def sha256_hex(self) -> str:
        """The unsalted hash a Sadad terminal tells: 64 hex digits."""
        return sha256(self.number.encode()).hexdigest()


def deck(count: int, seed: int = 1) -> tuple[Card, ...]:
    """`count` different cards over all issuers; the same for the same seed."""
    random = Random(seed)  # noqa: S311 - invented cards, not secrets
    cards: dict[str, Card] = {}
    while len(cards) < count:
        stem = ISSUERS[len(cards) % len(ISSUERS)] + f"{random.randrange(10**9):09d}"
        number = next(stem + digit for digit in "0123456789" if luhn_ok(stem + digit))
        cards[number] = Card(number)
    return tuple(cards.values())
