"""HTTP over TLS to one hub, by httpx: one request at a time on a connection that is kept.

Only what HTTP needs is sent: no user agent, no accept lists; a lone event on a warm connection is one packet
each way. What a request cost on the link is read off the kernel's own count of the connection (TCP_INFO), so
the budget of a metered link counts handshakes, resends and headers too.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from vafa.model.errors import Malformed, SyncError
from vafa.sync import tls
from vafa.sync.lean_httpx import lean_httpx
from vafa.wire import limits

if TYPE_CHECKING:
    import httpx

_UNHEARD_MS = 20_000
CONNECT_S, ANSWER_S, WHOLE_ANSWER_S = 20.0, 60.0, 180.0
_KEPT_S = 3_600.0  # a warm connection saves the handshake; the hub or the process ends it earlier
_PACKET_HEAD_BYTES = 52  # IPv4 and TCP with its timestamps, as nearly every packet of a connection has
_ESTIMATED_TCP_BYTES = 400  # of a connection that never came about: its few unanswered packets
_TCP_INFO_COUNTS = struct.Struct("=120xQQII")  # linux/tcp.h: bytes_acked, bytes_received, segs_out, segs_in
_RETRY_AFTER_S_MAX = 86_400


class Reply(msgspec.Struct, frozen=True):
    """What came back. `link_bytes` is what it cost on the link in both directions, all layers of IP counted.

    retry_after_s  of the header, None where there was none
    dates_checked  the certificates' dates were judged, by the own clock or by `check_dates` before
    """

    status: int
    body: bytes
    link_bytes: int
    new_connection: bool = False
    retry_after_s: int | None = None
    dates_checked: bool = True


class Unreached(SyncError):
    """No answer came. Whether the hub has taken the request nobody knows: it is sent again, which is
    harmless.

    link_bytes  what was spent on it
    """

    code = "SYN-006"

    def __init__(self, message: str, *, fix: str = "", code: str = "", link_bytes: int = 0) -> None:
        super().__init__(message, fix=fix, code=code)
        self.link_bytes = link_bytes


def _nothing() -> None:
    """There is nothing to do while the hub works."""


class Transport(Protocol):
    """What the courier sends by: this module's, or a simulation's."""

    def post(
        self, path: str, body: bytes, *, trusts_clock: bool, meanwhile: Callable[[], None] = _nothing
    ) -> Reply:
        """The hub's answer, at most ANSWER_BYTES_MAX. Unreached, or another SyncError, when none comes.

        meanwhile  called once between the request and its answer, if it gets so far
        """
        ...

    def check_dates(self, at_ms: int) -> None:
        """CertificateFault unless the last reply's certificates are valid at this time."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class HttpTransport:
    """One hub's. `bind_to` names the interface to send by, '' for the kernel's choice."""

    def __init__(self, url: str, ca_file: str = "", bind_to: Callable[[], str] = lambda: "") -> None:
        self._url = url.rstrip("/")
        self._ca_file = ca_file
        self._bind_to = bind_to
        self._client: httpx.Client | None = None  # httpx is loaded with the first request
        self._made_for: tuple[bool, str] = (False, "")
        self._dates_checked = False  # of the open connection
        self._chain: list[bytes] = []
        self._line: ssl.SSLSocket | None = None
        self.peer = ""  # the hub's address, of the last connection there was
        self._counted = 0
        if not self._url.startswith("https://"):
            raise SyncError(f"{url} is no https address", fix="vafa enrol CODE --hub https://NAME")

    def post(
        self, path: str, body: bytes, *, trusts_clock: bool, meanwhile: Callable[[], None] = _nothing
    ) -> Reply:
        """One request and its answer."""
        httpx = lean_httpx()
        client = self._client_for((trusts_clock, self._bind_to()))

        def content() -> Iterator[bytes]:
            yield body
            meanwhile()  # asked for more: all of it has left, by its length the hub knows that it is whole

        length = {"Content-Length": str(len(body))}
        request = httpx.Request("POST", self._url + path, headers=length, content=content())
        line_before = self._line
        try:
            response = client.send(request, stream=True)
            try:
                self._line = response.extensions["network_stream"].get_extra_info("socket")
                if self._line is not line_before:
                    self._counted, self._chain = 0, tls.chain_of(self._line)
                    self.peer = _peer(self._line) or self.peer
                    self._dates_checked = self._made_for[0]
                answer = _bounded(response)
                spent = self._spent()
            finally:
                response.close()
        except httpx.HTTPError as error:
            spent = self._spent() or _ESTIMATED_TCP_BYTES
            self.close()
            raise _explained(error, request.url.host, spent) from error
        is_new = self._line is not line_before
        retry_after_s = _retry_after_s(response.headers)
        return Reply(response.status_code, answer, spent, is_new, retry_after_s, self._dates_checked)

    def check_dates(self, at_ms: int) -> None:
        """By the hub's signed time, where the own clock could not be trusted in the handshake."""
        tls.check_dates(self._chain, at_ms)
        self._dates_checked = True

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._client is not None:
            self._client.close()
        self._client, self._line, self._counted = None, None, 0

    def _client_for(self, wanted: tuple[bool, str]) -> "httpx.Client":
        """A client for (own clock trusted?, interface). An open connection stays when the clock comes to be
        trusted: its certificates are judged already."""
        httpx = lean_httpx()
        differs = self._made_for[1] != wanted[1] or (self._line is None and self._made_for != wanted)
        if self._client is None or differs:
            self.close()
            trusts_clock, interface = wanted
            carrier = _carrier(tls.context(self._ca_file, trusts_clock=trusts_clock), interface)
            timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
            self._client = httpx.Client(transport=carrier, timeout=timeout, trust_env=False)
            self._made_for = wanted
        return self._client

    def _spent(self) -> int:
        """Bytes on the link since the last count; 0 where there is no connection to count."""
        if self._line is None or self._line.fileno() < 0:
            return 0
        info = self._line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_COUNTS.size)
        if len(info) < _TCP_INFO_COUNTS.size:
            return 0  # a kernel before 4.2
        sent, received, packets_out, packets_in = _TCP_INFO_COUNTS.unpack(info)
        total = sent + received + _PACKET_HEAD_BYTES * (packets_out + packets_in)
        spent = int(total - self._counted)
        self._counted = total
        return spent


def _carrier(context: ssl.SSLContext, interface: str) -> "httpx.HTTPTransport":
    """One kept connection. What is sent and never acknowledged ends it long before an answer would be late: a
    link that died, or that carries one way only, is left for the next one."""
    import httpx

    gives_up = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)
    kept = httpx.Limits(max_connections=1, keepalive_expiry=_KEPT_S)
    carrier = httpx.HTTPTransport(verify=context, trust_env=False, limits=kept, socket_options=[gives_up])
    if interface:
        from vafa.sync.bound_backend import BoundBackend

        # httpx has no way to hand its engine a backend; the engine itself looks at it for each connection.
        carrier._pool._network_backend = BoundBackend(interface)
    return carrier


def _peer(line: socket.socket) -> str:
    """The address at the other end; '' where the connection is gone already."""
    try:
        return str(line.getpeername()[0])
    except OSError:
        return ""


def _bounded(response: "httpx.Response") -> bytes:
    """The body as it travelled (nothing is unpacked here), or as much of it as shows that it is too large."""
    body = bytearray()
    ends_at = time.monotonic() + WHOLE_ANSWER_S
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limits.ANSWER_BYTES_MAX:
            raise Malformed(f"the hub's answer has more than {limits.ANSWER_BYTES_MAX:,} bytes")
        if time.monotonic() > ends_at:
            raise Unreached(f"the hub's answer was not whole after {WHOLE_ANSWER_S:.0f} s")
    return bytes(body)


def _retry_after_s(headers: "httpx.Headers") -> int | None:
    """Seconds of a Retry-After header; dates in it are not judged by a clock that may lie."""
    told = headers.get("retry-after", "").strip()
    return (
        min(int(told), _RETRY_AFTER_S_MAX) if told.isascii() and told.isdigit() and len(told) < 10 else None
    )


def _explained(error: "httpx.HTTPError", host: str, spent: int) -> SyncError:
    """What happened, for people. The cause of a failed handshake is inside httpcore's error."""
    httpx = lean_httpx()
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return tls.not_verified(cause, host)
        cause = cause.__cause__ or cause.__context__
    kinds = {
        httpx.ConnectTimeout: "does not answer",
        httpx.ConnectError: "cannot be reached",
        httpx.ReadTimeout: "took the request and does not answer",
        httpx.RemoteProtocolError: "closed the connection or does not speak HTTP",
    }
    what = kinds.get(type(error), "the connection broke")
    words = str(error).partition("\n")[0][:120]
    return Unreached(f"{host} {what} ({words or type(error).__name__})", fix="vafa doctor", link_bytes=spent)
