"""The hub's endpoints on a real PostgreSQL: whatever comes is answered, and only a signed request writes."""

import tempfile
from pathlib import Path
from random import Random

from fuzz.judging import same
from fuzz.target import Housed
from fuzz.wire_targets import PACKED
from hub.device_rows import busy, journal
from hub.served import Hub, Till
from shop import Shop

from vafa.hub.database import Database, connect
from vafa.hub.embedded import EmbeddedPostgres
from vafa.hub.enrol import Enrolling
from vafa.hub.migrations import migrate
from vafa.hub.rate import Bucket
from vafa.hub.sync import Sync
from vafa.keys.sign import is_signed
from vafa.model.chain import Row
from vafa.wire import limits, signing
from vafa.wire.compress import Form
from vafa.wire.messages import ENROL_PATH, SYNC_PATH, Envelope, Facts, Mark, SyncRequest
from vafa.wire.rows import pack

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
_COUNT = "SELECT (SELECT count(*) FROM journal) + (SELECT count(*) FROM device)"


class HubEndpoints(Housed):
    """`POST /v1/sync` and `/v1/enrol` as the hub's process answers them, without HTTP around."""

    name = "hub"
    what = "both of the hub's endpoints, on a real PostgreSQL"
    share = 2
    bytes_max = 20_000
    cpu_s_max = 3.0

    def __init__(self) -> None:
        super().__init__()
        self._place = tempfile.TemporaryDirectory(prefix="vafa-hub-")
        Path(self._place.name).chmod(0o755)
        self._postgres = EmbeddedPostgres(Path(self._place.name), FAST)
        self._postgres.__enter__()
        with connect(self._postgres.dsn) as connection:
            migrate(connection)
        self.database = Database(self._postgres.dsn)
        hub = Hub(self.database, self.directory)
        often = Bucket(10**9, 1.0)
        self.sync = Sync(self.database, hub.key, lambda: hub.now_ms, often)
        self.enrolling = Enrolling(self.database, hub.key, lambda: hub.now_ms)
        self.till = Till(hub)
        self._enrol(hub)
        self.rows = self._rows()
        self.seeds, self.words = self._seeds(), PACKED

    def _enrol(self, hub: Hub) -> None:
        """Over the same code, without its HTTP."""
        hub.post = lambda path, body, headers=None: (  # type: ignore[method-assign]
            200, {}, (self.enrolling if path == ENROL_PATH else self.sync).answer(body).body
        )  # fmt: skip
        self.till.enrol(hub.code(hub.merchant()))

    def _rows(self) -> list[Row]:
        place = self.directory / "shop"
        place.mkdir()
        shop = Shop(place)
        try:
            busy(shop)
            return journal(shop)
        finally:
            shop.ledger.close()

    def _seeds(self) -> list[bytes]:
        rows, facts = self.rows, Facts("0.1.0", 5, 1, 0, 0, "wwan0 sim")
        contents = [
            self.till.request(rows, None, facts=facts), self.till.request(rows[:9], None),
            self.till.request(rows[:9], None, whole=True), SyncRequest(b"", Mark(), b"", 0),
            SyncRequest(pack(rows[3:5]), Mark(1, rows[2].seq, rows[2].hash[:8]), rows[4].hash, 9),
            self.till.enrol_request("AAAABBBBCCCC"),
        ]  # fmt: skip
        return [signing.encoded(content) for content in contents]

    def judge(self, data: bytes, random: Random) -> str:
        path = random.choice((SYNC_PATH, SYNC_PATH, SYNC_PATH, ENROL_PATH))
        how = random.choice(("raw", "unsigned", "signed", "signed", "signed"))
        device = self.till.device if random.random() < 0.95 else random.randrange(2**53)
        envelope = Envelope(
            limits.VERSION, self.till.merchant, device, random.randbytes(16), 0, Form.PLAIN, data
        )
        signature = (
            self.till.signing.sign(signing.request_input(path, envelope))
            if how == "signed"
            else random.randbytes(64)
        )
        body = data if how == "raw" else signing.signed(envelope, signature)
        before = self._count()
        reply = (self.sync if path == SYNC_PATH else self.enrolling).answer(body)
        assert 200 <= reply.status < 600
        answer = signing.read_answer(reply.body)
        signing.answer_content(answer)
        if how != "signed":
            same(self._count(), before, "what an unsigned request wrote")
            assert reply.status != 200, "an unsigned request was answered"
        else:
            told = signing.answer_input(path, envelope.nonce, body, answer)
            assert is_signed(self.till.hub.key.signing.public, answer.signature, told)
        return reply.outcome

    def _count(self) -> int:
        with self.database.transaction() as connection:
            found = connection.execute(_COUNT).fetchone()
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        self.database.close()
        self._postgres.__exit__(None, None, None)
        self._place.cleanup()
        super().close()
