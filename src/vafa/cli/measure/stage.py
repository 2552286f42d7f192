"""A shop to measure in: a real ledger with members whose cards are known, and a terminal's real bytes.

2,000 members, nine sales in ten by a card of theirs, the rest by strangers' cards that draw a claim code. The
pretend terminal's RESPONSE goes through the frame reader and the dialogue, as the lane does it. The programme
is the grocery example: tiers, expiry and caps, as a shop has them.
"""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from vafa.model.payment import Payment
    from vafa.simulators.deck import Card

TERMINAL_ID = "40217736"
MEMBERS = 2_000
STRANGERS = 200
KNOWN_SHARE = 0.9
WARM_UP_CHECKPOINTS = 2  # the first lets the log reach its full size, the second finds it reused
DAYS_BACK, SALE_EVERY_S = 60, 100  # some 860 sales a day: `status` must not count them all as today's
_SLICE = 50
_SEED = 7
_ZONE = "Asia/Tehran"


def every_card() -> "tuple[Card, ...]":
    """The members' cards, each the member's of its number, then the strangers'."""
    from vafa.simulators.deck import deck

    return deck(MEMBERS + STRANGERS, _SEED)


class Stage:
    """One ledger directory, opened as the daemon opens it. Close it before a daemon takes it over."""

    def __init__(self, directory: Path) -> None:
        from vafa.app.counter import Counter
        from vafa.app.ledger_start import open_epoch
        from vafa.app.programmes import Programmes, example
        from vafa.club.programme import parse
        from vafa.codecs.sadad_dialogue import Dialogue
        from vafa.codecs.sadad_frames import Reader
        from vafa.keys.device_key import load_or_create
        from vafa.keys.tokens import Tokens
        from vafa.ledger.ledger import Ledger
        from vafa.ports.clock import ManualClock, SystemClock

        directory.mkdir(parents=True, exist_ok=True)
        self.tokens = Tokens(load_or_create(directory / "keys" / "device.key"))
        self._clock = ManualClock(SystemClock().wall_ms() - DAYS_BACK * 86_400_000)
        self.ledger = Ledger(directory, self._clock.wall_ms)
        open_epoch(self.ledger, self.tokens.key_id)
        programmes = Programmes(self.ledger)
        programmes.activate(parse(example("grocery")), None)
        self._counter = Counter(self.ledger, self.tokens, programmes, _ZONE)
        self._reader, self._dialogue = Reader(), Dialogue(TERMINAL_ID, self.tokens.without_pans)
        self.cards = every_card()
        self._random = Random(_SEED)  # noqa: S311 - invented sales, not secrets
        self._wal = self.ledger.path.with_name(self.ledger.path.name + "-wal")
        self._sales = 0

    def enrol_members(self) -> None:
        """Every member with the card they always pay with, and one purchase behind them.

        A member's row grows with the first purchase under tiers and expiry, once in a life; what is measured
        is a shop that has been open for a while.
        """
        from vafa.ledger.ledger import Transaction
        from vafa.model import events
        from vafa.model.pan import card_hint

        for first in range(0, MEMBERS, _SLICE):

            def join(tx: Transaction, first: int = first) -> None:
                for number in range(first, first + _SLICE):
                    member = self.tokens.member_id(f"+98912{number:07d}")
                    tx.post(events.Enrol(member, f"{number:04d}", "bench"))
                    hint = card_hint(self.cards[number].mask)
                    for token in self.tokens.card_tokens(hint):
                        tx.post(events.Bind(member, token, "bench"))
                    self._counter.post_within(tx, self._heard(self.response(self.cards[number])), b"")

            self.ledger.write(join)

    def response(self, card: "Card | None" = None) -> bytes:
        """The bytes with which a terminal tells the next approved sale; of this card, else of anybody's."""
        from vafa.simulators.sadad_bytes import SaleAnswer, sale_response

        self._sales += 1
        self._clock.advance(SALE_EVERY_S)
        if card is None:
            known = self._random.random() < KNOWN_SHARE
            drawn = self._random.randrange(MEMBERS) if known else self._random.randrange(STRANGERS) + MEMBERS
            card = self.cards[drawn]
        start = datetime(2026, 3, 21, 9, tzinfo=ZoneInfo(_ZONE))
        answer = SaleAnswer(
            code="00",
            amount=self._random.randrange(100_000, 9_000_000),
            card=card.mask,
            trace=f"{self._sales % 1_000_000:06d}",
            at=start + timedelta(seconds=SALE_EVERY_S * self._sales),
            rrn=f"{320_062_000_000 + self._sales}",
            terminal_id=TERMINAL_ID,
            merchant_id="000000140332591",
        )
        return sale_response(answer) + b"\n"

    def award(self, response: bytes) -> None:
        """From a terminal's bytes to a committed award."""
        self._counter.post(self._heard(response))

    def _heard(self, response: bytes) -> "Payment":
        from vafa.codecs.sadad_outputs import Late

        for frame in self._reader.feed(response):
            for output in self._dialogue.feed(frame, 0.0):
                if isinstance(output, Late) and output.payment is not None:
                    self._dialogue.acknowledge(0.0)
                    return output.payment
        raise AssertionError("the pretend terminal's approval was not understood")

    def award_until_log_restarts(self) -> int:
        """Awards until a checkpoint has been made and the log begins anew; how many that were."""
        begun, awards = self._log_number(), 0
        while self._log_number() == begun:
            self.award(self.response())
            awards += 1
        return awards

    def warm_up(self) -> None:
        """Awards until the log has its full size and is being reused, as on a device that runs for years."""
        for _ in range(WARM_UP_CHECKPOINTS):
            self.award_until_log_restarts()

    def _log_number(self) -> int:
        """The checkpoint sequence number in the log's header (SQLite file format §4.1)."""
        with self._wal.open("rb") as log:
            log.seek(12)
            return int.from_bytes(log.read(4), "big")

    def close(self) -> None:
        """Give the ledger back."""
        self.ledger.close()
