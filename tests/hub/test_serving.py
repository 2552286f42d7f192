"""The serving process: addresses as people write them, ports that are taken, answers without delay."""

import http.client
import socket

import pytest
from hub.served import Hub

from vafa.hub.serving import Listening, bound, parse_listen
from vafa.model.errors import HubError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8443", ("0.0.0.0", 8443)),  # noqa: S104 - what a person may write
        (":8443", ("127.0.0.1", 8443)),
        ("8443", ("127.0.0.1", 8443)),
        ("[::1]:8443", ("::1", 8443)),
        ("hub.example:443", ("hub.example", 443)),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "host:", "host:port", "host:99999", "host:-1"])
def test_what_is_no_address_says_how_one_looks(text: str) -> None:
    with pytest.raises(HubError, match="HOST:PORT") as told:
        parse_listen(text)
    assert told.value.code == "HUB-005"


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_an_address_that_cannot_be_had_is_named(host: str) -> None:
    with bound(Listening("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HubError, match="cannot be listened on") as told:
            bound(Listening(host, port)).close()
    assert told.value.code == "HUB-005"


def test_no_answer_waits_for_its_first_packet_to_be_acknowledged(hub: Hub) -> None:
    """Nagle's delay is off where asyncio accepts: it looks at the listening socket's protocol number."""
    with bound(Listening("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
    line = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    for _ in range(3):  # on one kept connection
        line.request("GET", "/healthz")
        assert line.getresponse().read() == b"ok\n"
    line.close()
