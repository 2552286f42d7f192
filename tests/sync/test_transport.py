"""The transport over real TLS on loopback: what it trusts, what it refuses, what a request costs."""

import datetime
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import BEGINS, DAY, NOW, Authority
from hub_stub import Hub, Served

from vafa.model.errors import Malformed, SyncError
from vafa.sync.tls import CertificateFault
from vafa.sync.transport import HttpTransport, Unreached


class Echo(Hub):
    """Answers what it was sent."""

    def handle(self, path: str, body: bytes, *_: object) -> bytes:
        return path.encode() + b" " + body


class Stage:
    """An authority, servers, transports; closed together."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self._closing: list[Served | HttpTransport] = []

    def served(self, certificate: Path | None = None, hub: Hub | None = None) -> Served:
        server = Served(hub or Echo(b""), certificate or self.authority.server())
        self._closing.append(server)
        return server

    def transport(self, server: Served, ca_file: Path | None = None) -> HttpTransport:
        made = HttpTransport(server.url, str(ca_file or self.authority.file))
        self._closing.insert(0, made)
        return made

    def close(self) -> None:
        for each in self._closing:
            each.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    it = Stage(tmp_path)
    yield it
    it.close()


def test_an_answer_comes_over_a_connection_that_is_kept(stage: Stage) -> None:
    server = stage.served()
    transport = stage.transport(server)
    first = transport.post("/v1/sync", b"one", trusts_clock=True)
    second = transport.post("/v1/sync", b"two", trusts_clock=True)
    assert (first.body, second.body) == (b"/v1/sync one", b"/v1/sync two")
    assert (first.new_connection, second.new_connection) == (True, False)
    assert server.connections == 1


class Patient(Hub):
    """Answers when it was told to."""

    may_answer = threading.Event()

    def handle(self, path: str, body: bytes, *_: object) -> bytes:
        return body if self.may_answer.wait(20.0) else b"nobody told me"


def test_while_the_hub_works_on_a_whole_request_something_else_is_done(stage: Stage) -> None:
    """The answer needs both the whole body and what is done meanwhile."""
    hub = Patient(b"")
    transport = stage.transport(stage.served(hub=hub))
    body = bytes(range(256)) * 40
    reply = transport.post("/v1/sync", body, trusts_clock=True, meanwhile=hub.may_answer.set)
    assert reply.body == body
    small = transport.post("/v1/sync", b"next", trusts_clock=True)
    assert (small.body, small.new_connection) == (b"next", False)


def test_what_a_request_costs_on_the_link_is_the_kernel_s_count(stage: Stage) -> None:
    transport = stage.transport(stage.served())
    first = transport.post("/v1/sync", bytes(300), trusts_clock=True)
    second = transport.post("/v1/sync", bytes(300), trusts_clock=True)
    large = transport.post("/v1/sync", bytes(20_000), trusts_clock=True)
    assert 1_500 < first.link_bytes < 5_000, "with the handshake"
    assert 800 < second.link_bytes < 1_500
    assert 40_000 < large.link_bytes < 46_000


def test_an_authority_that_is_not_pinned_is_not_trusted(stage: Stage, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another authority")
    server = stage.served(other.server())
    for trusts_clock in (True, False):
        with pytest.raises(CertificateFault, match="issuer"):
            stage.transport(server).post("/v1/sync", b"", trusts_clock=trusts_clock)


def test_a_certificate_for_another_name_is_not_trusted(stage: Stage) -> None:
    server = stage.served(stage.authority.server("hub.example"))
    for trusts_clock in (True, False):
        with pytest.raises(CertificateFault, match="mismatch"):
            stage.transport(server).post("/v1/sync", b"", trusts_clock=trusts_clock)


@pytest.mark.parametrize(
    ("begins", "ends"), [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)], ids=["expired", "not yet"]
)
def test_dates_are_judged_by_the_own_clock_or_by_the_time_that_is_told(
    stage: Stage, begins: datetime.datetime, ends: datetime.datetime
) -> None:
    server = stage.served(stage.authority.server(begins=begins, ends=ends))
    with pytest.raises(CertificateFault):
        stage.transport(server).post("/v1/sync", b"", trusts_clock=True)
    transport = stage.transport(server)
    reply = transport.post("/v1/sync", b"", trusts_clock=False)
    assert not reply.dates_checked, "the handshake left the dates to us"
    with pytest.raises(CertificateFault, match="by the hub's own time"):
        transport.check_dates(int(NOW.timestamp() * 1000))
    transport.check_dates(int((begins + DAY).timestamp() * 1000))
    assert transport.post("/v1/sync", b"", trusts_clock=True).dates_checked, "judged once for a connection"
    assert server.connections == 2


def test_the_authority_s_own_dates_are_judged_too(stage: Stage) -> None:
    server = stage.served(stage.authority.server(begins=BEGINS - 90 * DAY))
    transport = stage.transport(server)
    transport.post("/v1/sync", b"", trusts_clock=False)
    with pytest.raises(CertificateFault, match="test authority"):
        transport.check_dates(int((BEGINS - 60 * DAY).timestamp() * 1000))


def test_a_hub_that_is_not_there_is_a_clear_error(stage: Stage) -> None:
    server = stage.served()
    url, transport = server.url, stage.transport(server)
    server.close()
    stage._closing.remove(server)
    with pytest.raises(Unreached, match="localhost cannot be reached"):
        transport.post("/v1/sync", b"", trusts_clock=True)
    assert url


@pytest.mark.parametrize("mishap", ["reset mid-upload", "reset before commit", "reset after commit", "cut"])
def test_a_connection_that_breaks_is_an_error_and_the_next_request_has_a_new_one(
    stage: Stage, mishap: str
) -> None:
    server = stage.served()
    transport = stage.transport(server)
    transport.post("/v1/sync", b"", trusts_clock=True)
    server.mishaps.append(mishap)
    with pytest.raises(Unreached) as caught:
        transport.post("/v1/sync", bytes(100_000), trusts_clock=True)
    assert caught.value.link_bytes > 0, "it was not for nothing"
    assert transport.post("/v1/sync", b"x", trusts_clock=True).new_connection


def test_an_idle_connection_that_the_hub_ended_costs_no_error(stage: Stage) -> None:
    server = stage.served()
    transport = stage.transport(server)
    transport.post("/v1/sync", b"", trusts_clock=True)
    server.drop()
    assert transport.post("/v1/sync", b"x", trusts_clock=True).new_connection


def test_an_answer_without_end_is_cut_off(stage: Stage) -> None:
    server = stage.served()
    transport = stage.transport(server)
    server.mishaps.append("endless")
    with pytest.raises(Malformed, match="bytes"):
        transport.post("/v1/sync", b"", trusts_clock=True)


@pytest.mark.parametrize(("told", "seconds"), [("30", 30), ("999999", 86_400), ("soon", None), ("-1", None)])
def test_retry_after_counts_in_seconds_only(stage: Stage, told: str, seconds: int | None) -> None:
    server = stage.served()
    server.mishaps.append(f"busy {told}")
    reply = stage.transport(server).post("/v1/sync", b"", trusts_clock=True)
    assert (reply.status, reply.retry_after_s) == (503, seconds)


def test_an_address_without_tls_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(SyncError, match="https"):
        HttpTransport("http://hub.example")


def test_an_authority_file_that_is_none_is_a_clear_error(stage: Stage, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "none.pem"):
        (tmp_path / "none.pem").write_text("no certificate")
        with pytest.raises(CertificateFault, match="cannot be read"):
            stage.transport(stage.served(), path).post("/v1/sync", b"", trusts_clock=True)
