"""How a verb reaches its answer: the control socket while the daemon runs, else the ledger, read-only.

The fast path (`vafa status` with the daemon up) reads two lines of the configuration and asks; everything
slower is loaded only when it is needed.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from vafa.cli.lean import load_zoneinfo
from vafa.model.errors import ConfigError, Fault, LedgerDamaged, LedgerError, NotRunning, VafaError

if TYPE_CHECKING:
    import sqlite3
    from zoneinfo import ZoneInfo

    from vafa.app.config import Config
    from vafa.app.questions import Question, Reply

CONFIG = Path("/etc/vafa/config.toml")
SOCKET, ZONE = "/run/vafa/control.sock", "Asia/Tehran"  # config.py's defaults; a test compares them
ANSWER_S = 10.0
_RECEIVE_BYTES = 65_536

R = TypeVar("R", bound="Reply")
F = TypeVar("F", bound=Callable[..., Any])

config_option: Callable[[F], F] = click.option(
    "--config",
    "config_path",
    envvar="VAFA_CONFIG",
    default=CONFIG,
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The daemon's configuration.",
)
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON.")


def ask(config_path: Path, question: "Question", expected: type[R], answer_s: float = ANSWER_S) -> R:
    """Ask the daemon for an answer of this very type. NotRunning when nobody answers; what the daemon refuses
    comes as its error."""
    with conversation(config_path) as line:
        line.settimeout(answer_s)
        send(line, question)
        answer: R = _understood(_line(line), expected)
    return answer


def asked(config_path: Path, question: "Question", answer_s: float = ANSWER_S) -> "Reply":
    """Ask the daemon and take any answer but a refusal, which is raised."""
    with conversation(config_path) as line:
        line.settimeout(answer_s)
        send(line, question)
        return received(line)


@contextlib.contextmanager
def conversation(config_path: Path) -> Iterator[socket.socket]:
    """A connection to the control socket. NotRunning, or which group to join."""
    path = control_socket(config_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S)
        try:
            line.connect(str(path))
        except PermissionError as error:
            raise VafaError(
                f"you may not ask the daemon at {path}",
                fix=f"join its group: sudo adduser {_user()} {_group_of(path)}, then log in again",
                code="RUN-003",
            ) from error
        except OSError as error:
            raise NotRunning(
                f"the daemon does not answer at {path} ({error.strerror})",
                fix="sudo systemctl start vafa; then: systemctl status vafa",
            ) from error
        yield line


def send(line: socket.socket, question: "Question") -> None:
    """One question, one line."""
    from vafa.app.question import encode

    try:
        line.sendall(encode(question) + b"\n")
    except OSError as error:
        raise NotRunning("the daemon hung up", fix="journalctl -u vafa -n 50") from error


def received(line: socket.socket, waiting: Callable[[], None] | None = None) -> "Reply":
    """The answer. `waiting` is called each time the line's timeout passes; without it that is the end."""
    from vafa.app import questions

    answer: Reply = _understood(_line(line, waiting), questions.AnyReply)
    return answer


def _line(line: socket.socket, waiting: Callable[[], None] | None = None) -> bytes:
    taken = bytearray()
    while not taken.endswith(b"\n"):
        try:
            chunk = line.recv(_RECEIVE_BYTES)
        except TimeoutError:
            if waiting is None:
                raise NotRunning("the daemon does not answer", fix="systemctl status vafa") from None
            waiting()
            continue
        except OSError as error:
            raise NotRunning("the daemon hung up", fix="journalctl -u vafa -n 50") from error
        if not chunk:
            raise NotRunning("the daemon hung up", fix="journalctl -u vafa -n 50")
        taken += chunk
    return bytes(taken)


def _understood(line: bytes, expected: Any) -> Any:
    """The answer, one of the `expected` types. What the daemon refuses is raised."""
    from vafa.app.question import Failure

    try:
        answer = msgspec.json.decode(line, type=expected | Failure)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VafaError(
            "the daemon's answer is not understood: it is of another version", fix="systemctl restart vafa"
        ) from error
    if isinstance(answer, Failure):
        raise VafaError(answer.message, fix=answer.fix, code=answer.code)
    return answer


def control_socket(config_path: Path) -> Path:
    """Where the daemon listens, by its configuration."""
    return config_path.absolute().parent / _setting(config_path, "control", "socket", SOCKET)


def shop_zone(config_path: Path) -> "ZoneInfo":
    """The zone whose wall clock is shown: the shop's, not this machine's."""
    load_zoneinfo()
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(_setting(config_path, "shop", "zone", ZONE))
    except (OSError, ValueError, KeyError):
        return ZoneInfo(loaded(config_path).shop.zone)  # says what is wrong with it


def _setting(config_path: Path, section: str, name: str, default: str) -> str:
    """One text of the configuration, read leniently: the faults of the others are not our question."""
    import tomllib

    try:
        document = tomllib.loads(config_path.read_text(encoding="utf-8"))
    except PermissionError as error:
        fix = f"you may not read it; join its group: sudo adduser {_user()} vafa"
        raise ConfigError(str(config_path), [Fault("file", fix)]) from error
    except (OSError, ValueError):
        document = {}
        loaded(config_path)  # says what is wrong with the file
    table = document.get(section, {})
    return str(table.get(name, default)) if isinstance(table, dict) else default


def loaded(config_path: Path) -> "Config":
    """The whole configuration. ConfigError with every fault."""
    from vafa.app.config import load

    return load(config_path)


@contextlib.contextmanager
def reading(config_path: Path) -> Iterator["tuple[sqlite3.Connection, Config]"]:
    """The ledger, read-only, and the configuration. LedgerError when it cannot be read."""
    import sqlite3

    from vafa.ledger.storage import connect_reader, ledger_path

    config = loaded(config_path)
    path = ledger_path(config.ledger_directory.absolute())
    try:
        connection = connect_reader(path)
    except PermissionError as error:
        raise LedgerError(f"{path} may not be read", fix="run it with sudo") from error
    try:
        yield connection, config
    except sqlite3.Error as error:
        raise LedgerDamaged(f"{path} cannot be read ({error})", fix="vafa verify") from error
    except msgspec.DecodeError as error:
        raise LedgerDamaged(f"a journal row cannot be read ({error})", fix="vafa verify") from error
    finally:
        connection.close()


def answered(
    config_path: Path,
    question: "Question",
    read: "Callable[[sqlite3.Connection, Config], Reply]",
) -> "Reply":
    """The daemon's answer, else `read`'s from the ledger, said so on stderr."""
    try:
        return asked(config_path, question)
    except NotRunning:
        with reading(config_path) as (connection, config):
            answer = read(connection, config)
        _say_once("the daemon is not running: read from the ledger")
        return answer


def _say_once(text: str) -> None:
    """On stderr, once a command: a journal comes in pages."""
    said: dict[str, Any] = click.get_current_context().find_root().meta
    if said.setdefault(f"vafa.said {text}", 0) == 0:
        click.echo(text, err=True)
        said[f"vafa.said {text}"] = 1


def now_ms() -> int:
    """UTC milliseconds."""
    import time

    return time.time_ns() // 1_000_000


def pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it."""
    threading.Event().wait(seconds)


def print_json(value: object) -> None:
    """One JSON document, indented for people on a terminal."""
    line = msgspec.json.encode(value)
    if sys.stdout.isatty():
        line = msgspec.json.format(line, indent=2)
    click.echo(line.decode())


def _user() -> str:
    return os.environ.get("USER") or "YOU"


def _group_of(path: Path) -> str:
    """The group that may connect, where we may see it."""
    import grp

    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "vafa"


def progress() -> Callable[[int], None]:
    """A counter on stderr for whoever waits at a terminal."""
    if not sys.stderr.isatty():
        return lambda _rows: None

    def show(rows: int) -> None:
        click.echo(f"\r{rows:,} rows", nl=False, err=True)

    return show
