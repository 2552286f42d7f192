"""What years of payments cost: the same work on a ledger of a thousand payments and on a grown one, in turns.

Bytes are counted in pages: those an award adds to the write-ahead log, and those a checkpoint of so many
awards moves into the database. That is what grows with a ledger; what the disk makes of it `flash` counts.
"""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

from vafa.cli.measure import grown
from vafa.cli.measure.figures import Measured
from vafa.ledger.storage import PAGE_BYTES

SMALL = 1_000
COUNTED_AWARDS = 500
BALANCES = 2_000
OPENINGS = 5
REBUILT = 20_000
_FRAME_HEAD, _LOG_HEAD = 24, 32  # SQLite file format §4.1
_SEED = 11


class Side:
    """One of the two ledgers, its history plain, then under the grocery programme as `stage` has it."""

    def __init__(self, directory: Path, payments: int, tell: Callable[[int], None] = lambda _: None) -> None:
        from vafa.app.ledger_start import open_epoch
        from vafa.app.programmes import Programmes, example
        from vafa.club.programme import parse
        from vafa.keys.device_key import load_or_create
        from vafa.keys.tokens import Tokens
        from vafa.ledger.ledger import Ledger

        self.directory, self.payments = directory, payments
        directory.mkdir(parents=True)
        self.tokens = Tokens(load_or_create(directory / "keys" / "device.key"))
        self._random = Random(_SEED)  # noqa: S311 - invented sales, not secrets
        self._sold = payments
        ledger = Ledger(directory, self._wall_ms)
        open_epoch(ledger, self.tokens.key_id)
        plain = parse(example("plain"))
        Programmes(ledger).activate(plain, None)
        path, head = ledger.path, ledger.head
        ledger.close()
        grown.grow(path, head, self.tokens, plain, payments, tell)
        self.open()
        self.programmes.activate(parse(example("grocery")), None)

    def _wall_ms(self) -> int:
        return 1_700_000_000_000 + 10_000 * self._sold

    def open(self) -> None:
        """As the daemon opens it."""
        from vafa.app.counter import Counter
        from vafa.app.programmes import Programmes
        from vafa.ledger.ledger import Ledger

        self.ledger = Ledger(self.directory, self._wall_ms)
        self.programmes = Programmes(self.ledger)
        self._counter = Counter(self.ledger, self.tokens, self.programmes, "Asia/Tehran")

    def award(self) -> None:
        """The next sale of a member, by chance whose."""
        from vafa.model.payment import Payment, PaymentKey, Scheme, Source

        self._sold += 1
        number = self._random.randrange(grown.members_of(self.payments))
        key = PaymentKey(Scheme.RRN, grown.TERMINAL_ID, str(grown.FIRST_RRN + 7 * self._sold))
        amount = self._random.randrange(100, 9_000) * 1_000
        paid_at = self._wall_ms() // 1000
        card = grown.card_of(number)
        payment = Payment(
            key=key, amount=amount, source=Source.LIVE, paid_at=paid_at, trace="000001", card=card
        )
        self._counter.post(payment)

    def balance(self) -> int:
        """What a member has, by chance whose."""
        from vafa.ledger import people

        member = grown.member_of(self.tokens, self._random.randrange(grown.members_of(self.payments)))
        return self.ledger.read(
            lambda connection: sum(row.balance for row in people.owners(connection, member))
        )

    def bytes_an_award(self) -> float:
        """Into the log and, at the checkpoint, into the database."""
        from vafa.ledger import upkeep

        upkeep.checkpoint(self.ledger.path)
        for _ in range(COUNTED_AWARDS):
            self.award()
        log = self.ledger.path.with_name(self.ledger.path.name + "-wal").read_bytes()
        frame = _FRAME_HEAD + PAGE_BYTES
        pages = [log[at : at + 4] for at in range(_LOG_HEAD, len(log) - frame + 1, frame)]
        return (len(pages) * frame + len(set(pages)) * PAGE_BYTES) / COUNTED_AWARDS

    def opened_ms(self) -> float:
        """From nothing to a ledger that takes the next award; the keys and rules are read before."""
        from vafa.ledger.ledger import Ledger

        self.ledger.close()
        took = []
        for _ in range(OPENINGS):
            started = time.perf_counter()
            ledger = Ledger(self.directory, self._wall_ms)
            took.append((time.perf_counter() - started) * 1000)
            ledger.close()
        self.open()
        return median(took)

    def close(self) -> None:
        """Give the ledger back."""
        self.ledger.close()


def measure_growth(
    directory: Path, payments: int, awards: int, tell: Callable[[str], None]
) -> list[Measured]:
    """The four figures of growth from SMALL to `payments` payments, and how fast books are made anew."""
    few = Side(directory / "few", SMALL)
    many = Side(directory / "many", payments, lambda rows: tell(f"{rows:,} rows of {payments:,} payments"))
    try:
        return [*_compared(few, many, awards), _rebuilt(directory)]
    finally:
        few.close()
        many.close()


def _compared(few: Side, many: Side, awards: int) -> list[Measured]:
    few_bytes, many_bytes = few.bytes_an_award(), many.bytes_an_award()
    few_ms, many_ms = _in_turns(few.award, many.award, awards)
    few_read_ms, many_read_ms = _in_turns(few.balance, many.balance, BALANCES)
    few_open_ms, many_open_ms = few.opened_ms(), many.opened_ms()
    size = many.ledger.path.stat().st_size / 1e6
    note = f"{many_ms:.3f} ms with {many.payments:,} payments, {size:,.0f} MB"
    pages = f"{many_bytes:,.0f} bytes into log and database"
    return [
        Measured("growth_award", many_ms / few_ms, few_ms, "ms", note),
        Measured("growth_bytes", many_bytes / few_bytes, few_bytes, "bytes", pages),
        Measured("growth_balance", many_read_ms / few_read_ms, few_read_ms, "ms", f"{many_read_ms:.3f} ms"),
        Measured("growth_open", many_open_ms, few_open_ms, "ms", f"median of {OPENINGS}"),
    ]


def _in_turns(one: Callable[[], object], other: Callable[[], object], times: int) -> tuple[float, float]:
    """(median ms of one, of the other), noise hitting both."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for work, found in zip((one, other), took, strict=True):
            started = time.perf_counter()
            work()
            found.append((time.perf_counter() - started) * 1000)
    return median(took[0]), median(took[1])


def _rebuilt(directory: Path) -> Measured:
    """CPU a journal row while the books are made anew and compared, beside reading and chaining it alone."""
    from vafa.ledger.storage import connect_reader
    from vafa.ledger.verify import chain_faults, verify

    side = Side(directory / "rebuilt", REBUILT)
    side.close()
    connection = connect_reader(side.ledger.path)
    try:
        chained_us = _cpu_us(lambda: chain_faults(connection))
        found = verify(connection, lambda _event, _books: "")
        took_us = _cpu_us(lambda: verify(connection, lambda _event, _books: ""))
    finally:
        connection.close()
    assert not found.bad, found.bad
    note = f"{1e6 * found.rows / took_us:,.0f} rows/s of CPU time, best of 3; {found.rows:,} rows"
    return Measured("rebuild", took_us / found.rows, chained_us / found.rows, "us", note)


def _cpu_us(work: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        started = time.process_time()
        work()
        took.append((time.process_time() - started) * 1e6)
    return min(took)
