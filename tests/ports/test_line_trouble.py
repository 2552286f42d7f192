"""What keeps a line from being had, or takes it away: each with its own code, who holds it by name."""

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from vafa.model.errors import PortError
from vafa.ports import tcp
from vafa.ports.holders import holder
from vafa.ports.link import DescriptorLink, open_link

LONG_S = 30.0
HOLDS = """
import fcntl, os, sys, termios
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
if sys.argv[2] == "flock":
    fcntl.flock(port, fcntl.LOCK_EX)
if sys.argv[2] == "TIOCEXCL":
    fcntl.ioctl(port, termios.TIOCEXCL)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """(the far end's descriptor, the path of the near end)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    with contextlib.suppress(OSError):
        os.close(master)


@contextlib.contextmanager
def held(path: str, how: str) -> Iterator[int]:
    """Another process has the line; its pid."""
    command = [sys.executable, "-c", HOLDS, path, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("how", ["flock", "TIOCEXCL"])
def test_a_line_another_program_holds_names_it_and_is_had_when_that_ends(
    pty: tuple[int, str], how: str
) -> None:
    _, path = pty
    with held(path, how) as pid, pytest.raises(PortError) as caught:
        open_link(path, 115_200)
    assert caught.value.code == "SER-005"
    assert f"{path} is in use by python" in str(caught.value)
    assert f"(pid {pid})" in str(caught.value)
    assert "stop that program" in caught.value.fix
    open_link(path, 115_200).close()  # also when the exclusive bit outlived its owner: the far end keeps it


def test_nothing_is_stolen_from_who_holds_a_line(pty: tuple[int, str]) -> None:
    far_end, path = pty
    near_end = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        with held(path, "flock"), contextlib.suppress(PortError):
            os.write(far_end, b"for the other program")
            open_link(path, 115_200)
        assert os.read(near_end, 100) == b"for the other program"
    finally:
        os.close(near_end)


def test_who_only_has_a_line_open_is_told_and_this_process_never_is(pty: tuple[int, str]) -> None:
    _, path = pty  # this process has it open
    assert holder(path) == ""
    with held(path, "open") as pid:
        assert holder(path).endswith(f"(pid {pid})")
    assert holder("/dev/no-such-line") == ""


def test_who_has_locked_a_line_is_named_before_who_has_it_open(pty: tuple[int, str]) -> None:
    _, path = pty
    with held(path, "open"), held(path, "flock") as locker, held(path, "open"):
        assert holder(path).endswith(f"(pid {locker})")


def test_a_lock_tells_its_owner_where_processes_are_hidden(tmp_path: Path, pty: tuple[int, str]) -> None:
    _, path = pty
    device = Path(path).stat()
    where = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    rows = [
        "1: POSIX  ADVISORY  WRITE 11 08:02:1 0 EOF",
        f"1: -> FLOCK  ADVISORY  WRITE 12 {where} 0 EOF",  # waits for the lock, does not hold it
        f"2: FLOCK  ADVISORY  WRITE 4711 {where} 0 EOF",
    ]
    (tmp_path / "locks").write_text("\n".join(rows) + "\n")
    assert holder(path, tmp_path) == "pid 4711"
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "comm").write_text("pos\x1b[2Jvendor\n")
    assert holder(path, tmp_path) == "pos[2Jvendor (pid 4711)"
    assert holder(path, tmp_path / "none") == ""


def test_a_user_who_is_not_in_the_group_is_told_so(pty: tuple[int, str]) -> None:
    """As the service without its group: the kernel itself refuses, for nobody's process."""
    if os.geteuid():
        pytest.skip("only root can become nobody")
    _, path = pty
    Path(path).chmod(0o660)
    script = (
        "import os, sys, vafa.ports.serial_line\n"
        "from vafa.ports.link import open_link; from vafa.model.errors import PortError\n"
        "sys.path.clear()  # nobody may not be able to read the interpreter's own home: the same everywhere\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: open_link(sys.argv[1], 115200)\nexcept PortError as error: print(error.code, error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=LONG_S, check=True
    )
    assert ran.stdout == f"SER-003 {path}: permission denied; the service user is not in the group dialout\n"


def test_a_pulled_cable_is_its_own_code(pty: tuple[int, str]) -> None:
    far_end, path = pty
    link = open_link(path, 115_200)
    os.close(far_end)
    try:
        for use in (lambda: link.read(LONG_S), lambda: link.write(b"x")):
            with pytest.raises(PortError, match="the line is gone") as caught:
                use()
            assert caught.value.code == "SER-006"
    finally:
        link.close()


def test_a_line_by_a_link_is_known_by_the_name_the_system_gives_it(
    pty: tuple[int, str], tmp_path: Path
) -> None:
    _, path = pty
    by_id = tmp_path / "usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
    by_id.symlink_to(path)
    link = open_link(str(by_id), 115_200)
    assert link.name == path.removeprefix("/dev/")
    link.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "SER-010"),
        (TimeoutError("timed out"), "SER-004"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "SER-004"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "SER-004"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "SER-004"),
        (socket.gaierror(-2, "Name or service not known"), "SER-009"),
    ],
)
def test_each_way_not_to_reach_a_network_terminal_has_its_code(
    monkeypatch: pytest.MonkeyPatch, error: OSError, code: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> socket.socket:
        raise error

    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(PortError) as caught:
        open_link("tcp:192.0.2.1:8888", 0)
    assert caught.value.code == code
    assert caught.value.fix


def test_a_port_nobody_listens_on_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortError, match="nothing listens on that port") as caught:
        open_link(f"tcp:127.0.0.1:{port}", 0)
    assert caught.value.code == "SER-010"
    assert "PC-POS" in caught.value.fix


@pytest.fixture
def connected() -> Iterator[tuple[DescriptorLink, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = tcp.connect(f"127.0.0.1:{server.getsockname()[1]}")
        far_end = server.accept()[0]
    yield link, far_end
    link.close()
    far_end.close()


def test_a_connection_that_is_reset_says_so(connected: tuple[DescriptorLink, socket.socket]) -> None:
    link, far_end = connected
    far_end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far_end.close()
    with pytest.raises(PortError, match="connection reset by peer") as caught:
        link.read(LONG_S)
    assert caught.value.code == "SER-011"


def test_a_dead_peer_is_noticed_though_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal forgot the connection (its power went): only our keepalive can find that out."""
    monkeypatch.setattr(tcp, "_KEEPALIVE_IDLE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = tcp.connect(f"127.0.0.1:{server.getsockname()[1]}")
        far_end = server.accept()[0]
    try:
        forget(far_end)
        with pytest.raises(PortError, match="the line is gone") as caught:
            assert link.read(LONG_S) == b""
        assert caught.value.code == "SER-011"
    finally:
        link.close()


def test_a_terminal_that_still_serves_a_connection_long_dead_is_had_again() -> None:
    """The cable was out, and our end gave up meanwhile: the terminal's knows nothing of that."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        dead = tcp.connect(place)
        serving = server.accept()[0]
        ours = socket.socket(fileno=os.dup(dead._descriptor))
        dead.close()
        forget(ours)
        serving.settimeout(LONG_S)
        again = tcp.connect(place)
        try:
            with serving, pytest.raises(ConnectionResetError):
                serving.recv(1)  # a terminal of one connection stands here, and takes the next one afterwards
            with server.accept()[0] as taken:
                again.write(b"x")
                assert taken.recv(1) == b"x"
        finally:
            again.close()


def test_a_port_of_ours_that_is_taken_costs_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        first, second = tcp.connect(place), tcp.connect(place)
        for each in (first, second):
            each.close()
        for _ in range(2):
            server.accept()[0].close()


def test_the_keepalive_of_a_real_line_is_the_documented_one(
    connected: tuple[DescriptorLink, socket.socket],
) -> None:
    link, _ = connected
    asked = socket.socket(fileno=os.dup(link._descriptor))
    with asked:
        idle, every, probes, unacknowledged_ms = (
            asked.getsockopt(socket.IPPROTO_TCP, name)
            for name in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )
        assert asked.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert idle + every * probes + every == tcp.DEAD_AFTER_S
    assert unacknowledged_ms / 1000 + every <= tcp.DEAD_AFTER_S


def forget(line: socket.socket) -> None:
    """Close the far end without a word, as a power cut does."""
    repair = 19  # TCP_REPAIR: the kernel then closes without FIN or RST
    try:
        line.setsockopt(socket.IPPROTO_TCP, repair, 1)
    except PermissionError:
        line.close()
        pytest.skip("only root can make a connection forgotten")
    line.close()


def test_the_tests_own_lock_is_a_real_one(pty: tuple[int, str]) -> None:
    """What `held` does must be what a vendor's program does: a second lock is refused."""
    _, path = pty
    with held(path, "flock"):
        mine = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        with pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not select.select([mine], [], [], 0)[0]
        os.close(mine)
