"""A small shop: a ledger in a temporary directory, one point per 10 rial, all real but the terminal."""

from pathlib import Path
from typing import Any

from vafa.app.counter import Counter
from vafa.app.members import Members
from vafa.app.programmes import Programmes
from vafa.app.regaining import Regaining
from vafa.app.sales import Sales
from vafa.club.programme import parse
from vafa.keys.device_key import DeviceKey
from vafa.keys.seal import Sealer, wrapping_key
from vafa.keys.tokens import Tokens
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import Verified, verify
from vafa.model import events
from vafa.model.calendar import Calendar, WallTime
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

TID = "C0000301"
PROGRAMME = """
schema = 1
[name]
fa = "کافه نگین"
en = "Kafe Negin"
[earn]
points = 1
per = 10
currency = "IRR"
"""
HASHED = CardHint("621986", "3864", b"h" * 32)
HINTED = CardHint("621986", "3864")


class Shop:
    """The rooms joined as the daemon joins them, without threads and sockets."""

    def __init__(
        self,
        directory: Path,
        wall_ms: int = 1_767_000_000_000,
        programme: str = PROGRAMME,
        number: int = 1,
    ) -> None:
        """`number`: the device's among its merchant's."""
        self.directory, self.programme, self.number = directory, programme, number
        self.wall_ms = wall_ms
        key = DeviceKey(b"k" * 32)
        self.tokens = Tokens(key)
        self.sealer = Sealer(wrapping_key(key))
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self.directory, lambda: self.wall_ms)
        if self.ledger.head.seq == 0:
            opened = events.EpochOpened(b"L" * 16, self.number, None, self.tokens.key_id, "test")
            self.ledger.write(lambda tx: tx.post(opened))
        self.programmes = Programmes(self.ledger)
        self.programmes.activate(parse(self.programme), None)
        self.counter = Counter(self.ledger, self.tokens, self.programmes, "Asia/Tehran")
        self.members = Members(self.ledger, self.tokens, self.sealer)
        self.sales = Sales(self.counter)
        self.regaining = Regaining(self.counter)

    def restart(self) -> None:
        self.ledger.close()
        self.open()

    def verified(self) -> Verified:
        connection = connect_reader(self.ledger.path)
        try:
            return verify(connection, lambda *_: "")
        finally:
            connection.close()

    def joined(self, phone: str, name: str = "") -> bytes:
        """The id of who joins with this phone, or has."""
        return bytes.fromhex(self.members.add(phone, name, "test").id)

    def balances(self) -> list[int]:
        rows = self.ledger.read(
            lambda c: c.execute("SELECT balance FROM member ORDER BY joined_seq").fetchall()
        )
        return [row[0] for row in rows]


def payment(rrn: int = 320062616116, amount: int = 105, **fields: Any) -> Payment:
    """A live Sadad sale, as the codec gives it."""
    given: dict[str, Any] = {
        "source": Source.LIVE,
        "paid_at": WallTime(Calendar.JALALI, 1404, 10, 9, 15, 39, 8),
        "trace": "000996",
        "card": HINTED,
    }
    return Payment(key=PaymentKey(Scheme.RRN, TID, str(rrn)), amount=amount, **(given | fields))
