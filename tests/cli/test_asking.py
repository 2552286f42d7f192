"""How a verb reaches its answer: each way it can fail is said with what to do."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from device import Device, Run

from vafa.app.config import Control as ControlSettings
from vafa.app.config import Shop as ShopSettings
from vafa.cli import asking


@pytest.fixture
def impostor(device: Device) -> Iterator[list[bytes]]:
    """Something else listens at the control socket and answers what the test put into the list."""
    answers: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(device.config.parent / "c.sock"))
    listener.listen()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(65_536):
                    return
                connection.sendall(answers[0])

    thread = threading.Thread(target=serve)
    thread.start()
    yield answers
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
        last.connect(str(device.config.parent / "c.sock"))
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"", 3, "hung up"),
        (b'{"is":"failure"', 3, "hung up"),
        (b'{"is":"dance"}\n', 1, "another version"),
        (b"no JSON\n", 1, "another version"),
        (b'{"is":"lines","number":"\xff","lines":[]}\n', 1, "another version"),
        (b'{"is":"lines","number":"1","lines":[]}\n', 1, "another version"),
        (b'{"is":"failure","code":"LED-001","message":"the disk","fix":"df"}\n', 1, "the disk   [LED-001]"),
    ],
)
def test_an_answer_that_is_none_is_said(
    device: Device, vafa: Run, impostor: list[bytes], answer: bytes, code: int, said: str
) -> None:
    impostor.append(answer)
    ran = vafa("member", "add", "09121236789")
    assert (ran.code, said in ran.err) == (code, True)


def test_a_socket_nobody_serves_is_a_daemon_that_is_not_running(device: Device, vafa: Run) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(device.config.parent / "c.sock"))
    ran = vafa("member", "add", "09121236789")
    assert ran.code == 3
    assert "[RUN-001]" in ran.err


def test_without_permission_it_names_the_group_to_join(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: socket.socket, _path: str) -> None:
        raise PermissionError(13, "Permission denied")

    with device.up():
        monkeypatch.setattr(socket.socket, "connect", refused)
        ran = vafa("status")
        monkeypatch.undo()
    assert ran.code == 1
    assert "[RUN-003]" in ran.err
    assert asking._group_of(device.config) in ran.err


def test_a_configuration_that_may_not_be_read_names_the_group(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    ran = vafa("status")
    assert ran.code == 2
    assert "join its group" in ran.err


def test_the_defaults_read_leniently_are_the_configuration_s_own() -> None:
    assert ControlSettings().socket == asking.SOCKET
    assert ShopSettings(name="x").zone == asking.ZONE


def test_a_fault_elsewhere_in_the_configuration_does_not_stop_a_question(device: Device, vafa: Run) -> None:
    with device.up():
        device.config.write_text(device.config.read_text() + "\n[log]\nlevel = 'loud'\n")
        ran = vafa("journal", "--limit", "1")
    assert ran.code == 0


def test_what_the_socket_itself_refuses_is_understood(device: Device, vafa: Run) -> None:
    with device.up():
        ran = vafa("member", "find", "9" * 70_000)
    assert ran.code == 1
    assert "[SRV-002]" in ran.err
