"""A hub in the test's own process: real TLS on loopback, real packing and chain, and mishaps on order.

It books rows by `books.apply` into dictionaries and recomputes the chain, as a real hub does: "the hub
has it" means that it has it byte for byte. `mishaps` are taken one a request.
"""

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from vafa.books import till as tills
from vafa.books.apply import apply, state_hash_after
from vafa.books.rows import BookRow, Key, R, key_of
from vafa.books.till import TillSums
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.model import events
from vafa.model.chain import NO_HASH, chain_hash
from vafa.wire import signing
from vafa.wire.messages import (
    MARK_HASH_BYTES,
    SYNC_PATH,
    AnswerContent,
    Have,
    Mark,
    Reason,
    Refusal,
    SyncAnswer,
    SyncRequest,
)
from vafa.wire.rows import WireRow, unpack

HUB_KEY = SigningKey(DeviceKey(b"H" * 32))
Mishap = str


class Books:
    """One device's books at the hub."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[BookRow], Key], BookRow] = {}
        self.till, self.state, self.hash = TillSums(), 0, NO_HASH
        self.marks: list[Mark] = [Mark()]  # by seq
        self.log: list[WireRow] = []

    def find(self, row_type: type[R], key: Key) -> R | None:
        found: R | None = self.rows.get((row_type, key))  # type: ignore[assignment]
        return found

    def book(self, payload: bytes, head: bytes) -> None:
        """The rows above our mark; AssertionError where the chain does not come out."""
        for row in unpack(payload):
            if row.seq >= len(self.marks):  # else it is repeated: we have it
                self._book(row)
        assert head == self.hash, "the chain does not come out"

    def forget_after(self, seq: int) -> None:
        """The hub was restored from a backup that had rows up to `seq`."""
        log = self.log[:seq]
        self.rows.clear()
        self.till, self.state, self.hash = TillSums(), 0, NO_HASH
        self.marks, self.log = [Mark()], []
        for row in log:
            self._book(row)

    def _book(self, row: WireRow) -> None:
        assert row.seq == len(self.marks), "a hole in the rows"
        effect = apply(events.decode(row.kind, row.body), row.seq, self, self.till)
        self.state = state_hash_after(self.state, effect.changes)
        for change in effect.changes:
            if change.new is None:
                assert change.old is not None
                del self.rows[type(change.old), key_of(change.old)]
            else:
                self.rows[type(change.new), key_of(change.new)] = change.new
        self.till = effect.till
        state, till = self.state.to_bytes(32, "big"), tills.pack(self.till)
        self.hash = chain_hash(self.hash, row.epoch, row.seq, row.at, row.kind, row.body, till, state)
        self.marks.append(Mark(row.epoch, row.seq, self.hash[:MARK_HASH_BYTES]))
        self.log.append(row)


class Hub:
    """Decides answers; `Served` puts it behind a socket."""

    def __init__(self, device_key: bytes, clock_ms: Callable[[], int] = lambda: 1_767_000_000_000) -> None:
        self.device_key = device_key
        self.books = Books()
        self.clock_ms = clock_ms
        self.answer = SyncAnswer(Mark(), Mark(), 0)  # what comes down besides, replaced by tests
        self.refuse: Refusal | None = None
        self.requests: list[SyncRequest] = []
        self.answered: dict[bytes, bytes] = {}

    def handle(self, path: str, body: bytes, key: SigningKey = HUB_KEY) -> bytes:
        """The answer's body."""
        envelope = signing.read_envelope(body)
        content = self._content(path, body)
        answer = signing.answer(content)
        return signing.signed(answer, key.sign(signing.answer_input(path, envelope.nonce, body, answer)))

    def _content(self, path: str, body: bytes) -> AnswerContent:
        envelope = signing.read_envelope(body)
        if not is_signed(self.device_key, envelope.signature, signing.request_input(path, envelope)):
            return Refusal(Reason.BAD_SIGNATURE, "not signed by the device", hub_ms=self.clock_ms())
        if self.refuse is not None:
            return msgspec.structs.replace(self.refuse, hub_ms=self.clock_ms())
        request = signing.request_content(envelope)
        assert isinstance(request, SyncRequest)
        self.requests.append(request)
        books = self.books
        if request.rows and request.before in books.marks:
            books.book(request.rows, request.head)
        mark = books.marks[-1]
        have = self.answer.have if self.answer.have != Have() else request.have
        return msgspec.structs.replace(
            self.answer, received=mark, safe=mark, hub_ms=self.clock_ms(), have=have
        )


class Served:
    """The hub on loopback. `mishaps`: words, one a request; see `_serve`."""

    def __init__(self, hub: Hub, certificate: Path) -> None:
        self.hub = hub
        self.mishaps: deque[Mishap] = deque()
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._lines: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        self.drop()

    def drop(self) -> None:
        """Every open connection ends, as when a hub restarts."""
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._lines.clear()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._talk, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _talk(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain, self._context.wrap_socket(plain, server_side=True) as line:
            self._lines.append(line)
            while self._serve(line):
                continue

    def _serve(self, line: ssl.SSLSocket) -> bool:
        """One request; False when the connection ends."""
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = line.recv(65_536)
            if not chunk:
                return False
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        path = head.split()[1].decode()
        length = next(
            int(part[15:]) for part in head.split(b"\r\n") if part.lower().startswith(b"content-length:")
        )
        mishap = self.mishaps.popleft() if self.mishaps else ""
        if mishap == "reset mid-upload":
            _reset(line)
            return False
        while len(body) < length:
            body += line.recv(65_536)
        if mishap == "reset before commit":
            _reset(line)
            return False
        answer = self.hub.handle(
            path, body, SigningKey(DeviceKey(b"X" * 32)) if mishap == "wrong key" else HUB_KEY
        )
        return self._say(line, answer, mishap)

    def _say(self, line: ssl.SSLSocket, answer: bytes, mishap: Mishap) -> bool:
        status, headers = "200 OK", ""
        match mishap.split():
            case ["reset", "after", "commit"]:
                _reset(line)
                return False
            case ["garbage"]:
                answer = b"\xc1\xff\x00garbage" * 20
            case ["another's"]:
                answer = next(iter(self.hub.answered.values()), answer)
            case ["html", code]:
                status, answer = f"{code} Proxy", b"<html>log in to the hotel's network</html>"
            case ["busy", seconds]:
                status, headers, answer = "503 Busy", f"Retry-After: {seconds}\r\n", b""
            case ["endless"]:
                answer = bytes(400_000)
            case ["cut"]:
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + answer[:10])
                _reset(line)
                return False
            case ["bomb"]:
                answer = bomb(answer)
            case _:
                self.hub.answered.setdefault(answer[:8], answer)
        line.sendall(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
        return True


def bomb(answer: bytes) -> bytes:
    """A validly framed answer whose content promises little and unpacks to half a gigabyte."""
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, window_log=20, write_content_size=False, format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )
    content = b"\x64\xff" + zstandard.ZstdCompressor(compression_params=parameters).compress(
        bytes(500_000_000)
    )
    return signing.signed(
        msgspec.structs.replace(signing.read_answer(answer), form=1, content=content), bytes(64)
    )


def _reset(line: ssl.SSLSocket) -> None:
    """RST instead of an orderly end."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    line.close()


__all__ = ["HUB_KEY", "SYNC_PATH", "Books", "Hub", "Served"]
