"""A hub that enrols, in memory: the real wire and keys, none of the real hub's code, faults as asked for."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from vafa.keys import sealed_box
from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import SealingKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.keys.tokens import key_id
from vafa.model.errors import SyncError
from vafa.wire import signing
from vafa.wire.messages import ENROL_PATH, EnrolAnswer, EnrolRequest, Envelope, Reason, Refusal

PURPOSE = "token key"


class Known(msgspec.Struct):
    """A device as the hub knows it."""

    merchant: str
    sign: bytes
    seal: bytes


class EnrollingHub:
    """codes: code -> (merchant, the device it replaces or 0). `lose_answers`: so many answers get lost."""

    def __init__(self, key: bytes = b"H" * 32) -> None:
        self.signing, self.sealing = SigningKey(DeviceKey(key)), SealingKey(DeviceKey(key))
        self.codes: dict[str, tuple[str, int]] = {}
        self.expired: set[str] = set()
        self.used: dict[str, tuple[bytes, int]] = {}
        self.devices: dict[int, Known] = {}
        self.token_keys: dict[str, bytes] = {}
        self.lose_answers = 0
        self.is_ready = True
        self.requests: list[EnrolRequest] = []

    def post(self, path: str, body: bytes) -> bytes:
        """One request to one answer, as a device's transport gives it."""
        assert path == ENROL_PATH
        envelope = signing.read_envelope(body)
        request = signing.request_content(envelope)
        assert isinstance(request, EnrolRequest)
        self.requests.append(request)
        content = self._decide(envelope, request)
        if self.lose_answers:
            self.lose_answers -= 1
            raise SyncError("the connection broke")
        unsigned = signing.answer(content)
        said = signing.answer_input(path, envelope.nonce, body, unsigned)
        return signing.signed(unsigned, self.signing.sign(said))

    def _decide(self, envelope: Envelope, request: EnrolRequest) -> EnrolAnswer | Refusal:
        if request.code:
            key = request.signing_key
            number: int | Refusal = self._by_code(request)
        else:
            known = self.devices.get(envelope.device)
            if known is None:
                return Refusal(Reason.UNKNOWN_DEVICE, "no such device")
            key, number = known.sign, envelope.device
        if not is_signed(key, envelope.signature, signing.request_input(ENROL_PATH, envelope)):
            return Refusal(Reason.BAD_SIGNATURE, "not signed by this device's key")
        return number if isinstance(number, Refusal) else self._enrol(number, request)

    def _by_code(self, request: EnrolRequest) -> int | Refusal:
        if request.code not in self.codes:
            return Refusal(Reason.CODE_UNKNOWN, "no such code")
        if request.code in self.expired:
            return Refusal(Reason.CODE_EXPIRED, "the code was good until yesterday")
        if request.code in self.used:
            key, number = self.used[request.code]
            return number if key == request.signing_key else Refusal(Reason.CODE_USED, "the code was used")
        merchant, replaces = self.codes[request.code]
        number = replaces or max(self.devices, default=0) + 1
        self.devices[number] = Known(merchant, request.signing_key, request.sealing_key)
        self.used[request.code] = (request.signing_key, number)
        return number

    def _enrol(self, number: int, request: EnrolRequest) -> EnrolAnswer:
        known = self.devices[number]
        known.sign, known.seal = request.signing_key, request.sealing_key
        if request.token_key and known.merchant not in self.token_keys:
            self.token_keys[known.merchant] = self.sealing.open(request.token_key, PURPOSE)
        held = self.token_keys.get(known.merchant)
        box = b"" if held is None else sealed_box.seal_to(known.seal, held, PURPOSE)
        return EnrolAnswer(
            merchant=known.merchant,
            device=number,
            hub_key=self.signing.public,
            hub_sealing_key=self.sealing.public,
            hub_ms=0,
            key_id=request.key_id if held is None else key_id(held),
            token_key=box,
            want_key=held is None,
            shop="Kafe Negin",
            alone=len(self.devices) == 1,
        )


@contextlib.contextmanager
def served(hub: EnrollingHub, certificate: Path) -> Iterator[str]:
    """The hub behind real TLS on loopback; its address. `certificate`: a file with key and certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer = hub.post(self.path, body)
            except SyncError:  # an answer that got lost on the way
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            text = b"ready\n" if hub.is_ready else b"the database is away\n"
            self.send_response(200 if hub.is_ready else 503)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests look at what was asked."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """A device that does not trust us hangs up in the handshake."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
