"""Whole files that come from elsewhere or from a bad disk: a backup, what the sync keeps."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random

from fuzz.judging import same
from fuzz.target import Housed
from shop import Shop, payment

from vafa.app import restoring
from vafa.keys import recovery
from vafa.ledger.ledger import Ledger
from vafa.model.errors import SyncError, VafaError
from vafa.sync import kept
from vafa.sync.kept import Kept, Store, Sync, Trouble
from vafa.wire.messages import Mark, ReceiptMessage, RemoteMember

_JOURNAL = "SELECT * FROM journal ORDER BY seq"
_ROOT = Path(__file__).parents[2]
_AT = int(datetime(2026, 4, 25, 12, tzinfo=UTC).timestamp())


class BackupFile(Housed):
    """A file that is given to `vafa restore`, up to the ledger in it being opened and gone on with."""

    name = "backup"
    what = "a backup's file, as far as the ledger in it"
    share = 1
    bytes_max = 200_000
    cpu_s_max = 5.0

    def __init__(self) -> None:
        super().__init__()
        self.file = self.directory / "given"
        ledger = self._ledger()
        self.seeds = [self._backup(ledger), ledger]
        self.words = (
            b"ustar",
            b"about.json\0",
            b"ledger.db\0",
            b"SQLite format 3\0",
            b"0000644\0",
            b"77777777777",
        )

    def _shop(self) -> Shop:
        place = self.directory / "shop"
        place.mkdir(exist_ok=True)
        return Shop(place)

    def _ledger(self) -> bytes:
        from vafa.ledger import upkeep

        shop = self._shop()
        for number in range(3):
            shop.counter.post(payment(320_062_616_116 + number))
        shop.members.add("09121236789", "", "test")
        draft = self.directory / "copy.db"
        upkeep.copy(shop.ledger.path, draft)
        self.rows = shop.ledger.read(lambda c: c.execute(_JOURNAL).fetchall())
        shop.ledger.close()
        return draft.read_bytes()

    def _backup(self, ledger: bytes) -> bytes:
        from vafa.app import backing_up

        (self.directory / "copy.db").write_bytes(ledger)
        about = backing_up._about(self.directory / "copy.db", 1_767_000_000_000)
        public = recovery.key_of("7KQ2-MXB9-3FDT-Z5HW-8N4C").public
        sealed = recovery.seal_keys({"device.key": b"61" * 32}, about.digest, public, None)
        target = self.directory / "made"
        backing_up._write(target, about, sealed, self.directory / "copy.db")
        return target.read_bytes()

    def judge(self, data: bytes, random: Random) -> str:
        self.file.write_bytes(data)
        try:
            found = restoring.look(self.file)
        except VafaError:
            return "refused"
        place = self.directory / "restored"
        place.mkdir(exist_ok=True)
        draft = place / "ledger.db"
        try:
            restoring._draft(self.file, draft, found)
        except VafaError:
            return "damaged"
        finally:
            for left in place.glob("ledger.db-*"):
                left.unlink()
        try:
            ledger = Ledger(place, lambda: 1_767_000_000_000)
        except VafaError:
            return "not opened"
        rows = ledger.read(lambda c: c.execute(_JOURNAL).fetchall())
        ledger.close()
        same(rows, self.rows[: len(rows)], "the journal out of a backup")
        if found.about is not None:
            same(len(rows), len(self.rows), "rows of a whole backup")
        for left in place.iterdir():
            left.unlink()
        return "ledger"


class SyncFile(Housed):
    """What the sync keeps beside the ledger, damaged: it is begun anew, whichever byte is wrong."""

    name = "sync-file"
    what = "the sync's own file, damaged"
    share = 2
    bytes_max = 60_000
    cpu_s_max = 3.0

    def __init__(self) -> None:
        super().__init__()
        self.file = self.directory / "sync.db"
        store = Store(self.file)
        member = RemoteMember(b"m" * 16, "6789", (b"t" * 8,), 1_250, 1_767_000_000)
        message = ReceiptMessage(7, b"", "نوروز مبارک", "Happy new year", None, 1_800_000_000)
        self.kept = Kept(received=Mark(1, 7, b"h" * 8), trouble=Trouble("SYN-006", "away", "wait"), boot="b")
        store.keep(self.kept, Sync(0, True, 5, 100, 90, 400, False, 30, "wwan0 sim"), [member], [message])
        store.close()
        self.seeds = [self.file.read_bytes()]
        self.words = (b"CREATE TABLE", b"kept", b"\xff\xfe", bytes(64), b"SQLite format 3\0", b"STRICT")

    def judge(self, data: bytes, random: Random) -> str:
        for left in self.directory.glob("sync*"):
            left.unlink()
        self.file.write_bytes(data)
        self._read()
        store = Store(self.file)
        word = "kept" if store.kept == self.kept else "lost"
        for _ in range(2):
            try:
                store.forget() if random.random() < 0.3 else store.keep(self.kept)
            except SyncError:
                word = "begun anew"
                continue
            break
        else:
            raise AssertionError("it does not come to write again")
        store.close()
        self._read()
        return word

    def _read(self) -> None:
        """As the daemon's `status` does, beside the sync."""
        try:
            with kept.reading(self.file) as connection:
                assert connection is not None
                kept.kept_in(connection)
                kept.log_in(connection, 5)
                kept.counts_in(connection)
                kept.remote_member(connection, b"m" * 16)
                kept.messages_for(connection, b"m" * 16, 1_767_000_000)
        except SyncError:
            pass
