"""A hub that serves on loopback, and a device that talks to it over real HTTP as the courier will."""

import contextlib
import http.client
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from hub.device_rows import LEDGER_ID, journal, spot
from shop import Shop

from vafa.hub import codes, merchants
from vafa.hub.database import Database
from vafa.hub.hub_key import HubKey
from vafa.hub.serving import Listening, bound, make_server
from vafa.hub.web import application
from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import SealingKey, seal_to
from vafa.keys.sign import SigningKey, is_signed
from vafa.keys.tokens import key_id
from vafa.model.chain import Row
from vafa.wire import limits, signing
from vafa.wire.messages import (
    ENROL_PATH,
    SEALED_FOR,
    SYNC_PATH,
    AnswerContent,
    Content,
    EnrolAnswer,
    EnrolRequest,
    Facts,
    Have,
    Mark,
    Refusal,
    SyncAnswer,
    SyncRequest,
)
from vafa.wire.rows import pack

NOW_MS = 1_767_000_000_000
OWN_KEY = b"t" * 32


class Answered(msgspec.Struct, frozen=True):
    """An HTTP answer, its signature checked where it has one."""

    status: int
    headers: dict[str, str]
    body: bytes
    content: AnswerContent
    signed: bool


class Hub:
    """The hub's process without the process: its application on a loopback port, its clock by hand."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.key = HubKey(directory / "hub.key")
        self.now_ms = NOW_MS
        self.port = 0

    @contextlib.contextmanager
    def up(self) -> Iterator["Hub"]:
        """It answers."""
        ready = threading.Event()
        where = Listening("127.0.0.1", 0)
        with bound(where) as listener:
            self.port = listener.getsockname()[1]
            server = make_server(application(self.database, self.key, lambda: self.now_ms), where, ready.set)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                assert ready.wait(20)
                yield self
            finally:
                server.should_exit = True
                thread.join(30)
                assert not thread.is_alive()

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            chunked = "Transfer-Encoding" in (headers or {})
            sent = (body[at : at + 65_536] for at in range(0, len(body), 65_536)) if chunked else body
            line.request("POST", path, sent, headers or {}, encode_chunked=chunked)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            line.close()

    def get(self, path: str) -> tuple[int, str]:
        """A page."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            line.request("GET", path)
            answer = line.getresponse()
            return answer.status, answer.read().decode()
        finally:
            line.close()

    def merchant(self, name: str = "Kafe Negin") -> str:
        """A new merchant's id."""
        with self.database.transaction() as connection:
            return merchants.add(connection, name, self.now_ms).merchant

    def code(self, merchant: str, valid_h: int = 48) -> str:
        """A new code for one."""
        with self.database.transaction() as connection:
            return codes.make(connection, merchant, "till", valid_h, self.now_ms)


class Till:
    """A device as far as its hub can tell: keys, journal, marks."""

    def __init__(
        self, hub: Hub, seed: bytes = b"d", ledger_id: bytes = LEDGER_ID, own_key: bytes = OWN_KEY
    ) -> None:
        self.hub = hub
        self.use_keys(seed)
        self.ledger_id = ledger_id
        self.own_key = own_key
        self.merchant, self.device = "", 0
        self.sent: Row | None = None
        self.have = Have()
        self.at_ms = NOW_MS

    def use_keys(self, seed: bytes) -> None:
        """The device's keys, from a seed."""
        material = DeviceKey(seed.ljust(32, b"."))
        self.signing, self.sealing = SigningKey(material), SealingKey(material)

    def body(self, path: str, content: Content, signer: SigningKey | None = None) -> tuple[bytes, bytes]:
        """(a signed request as it travels, its nonce)."""
        nonce = os.urandom(limits.NONCE_BYTES)
        envelope = signing.envelope(self.merchant, self.device, nonce, self.at_ms, content)
        signature = (signer or self.signing).sign(signing.request_input(path, envelope))
        return signing.signed(envelope, signature), nonce

    def ask(self, path: str, content: Content, signer: SigningKey | None = None) -> Answered:
        """One request and its answer."""
        body, nonce = self.body(path, content, signer)
        return self.say(path, body, nonce)

    def say(self, path: str, body: bytes, nonce: bytes) -> Answered:
        """A request's bytes, and what the hub answers."""
        status, headers, said = self.hub.post(path, body)
        answer = signing.read_answer(said)
        content = signing.answer_content(answer)
        told = signing.answer_input(path, nonce, body, answer)
        signed = is_signed(self.hub.key.signing.public, answer.signature, told)
        return Answered(status, headers, said, content, signed)

    def enrol(self, code: str, **fields: object) -> Answered:
        """Say a code; the token key where the hub wants it."""
        asked = self.enrol_request(code, **fields)
        said = self.ask(ENROL_PATH, asked)
        if isinstance(said.content, EnrolAnswer):
            if said.content.want_key:
                box = seal_to(said.content.hub_sealing_key, self.own_key, SEALED_FOR)
                return self.enrol(code, token_key=box)
            self.merchant, self.device = said.content.merchant, said.content.device
        return said

    def enrol_request(self, code: str, **fields: object) -> EnrolRequest:
        """The request a code is said with."""
        typed = "".join(letter for letter in code if letter.isalnum())
        plain = EnrolRequest(
            typed, self.signing.public, self.sealing.public, self.ledger_id, Mark(), key_id(self.own_key)
        )
        return msgspec.structs.replace(plain, **fields)

    def request(
        self, rows: Sequence[Row], before: Row | None, *, whole: bool = False, facts: Facts | None = None
    ) -> SyncRequest:
        """A sync request with these rows."""
        place = spot(before)
        newest = rows[-1] if rows else before
        return SyncRequest(
            pack(rows, whole=whole) if rows else b"",
            Mark(place.epoch, place.seq, place.hash),
            rows[-1].hash if rows else b"",
            newest.seq if newest else 0,
            self.have,
            facts,
        )

    def sync(self, shop: Shop, *, facts: Facts | None = None) -> SyncAnswer:
        """What is new in the shop's journal, up to 1,000 rows of it; the marks are kept."""
        rows = journal(shop, self.sent.seq if self.sent else 0)[: limits.ROWS_MAX]
        said = self.ask(SYNC_PATH, self.request(rows, self.sent, facts=facts))
        assert said.signed
        assert isinstance(said.content, SyncAnswer), said.content
        self.have = said.content.have
        if rows:
            self.sent = rows[-1]
        return said.content


def refusal(said: Answered) -> Refusal:
    """The refusal an answer must be."""
    assert isinstance(said.content, Refusal), said.content
    return said.content
