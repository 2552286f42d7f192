"""The real daemon as a subprocess, its two sockets, its log, and everything it leaves on the disk."""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from secrecy.search import Place

from vafa.ledger.upkeep import backup

CONFIG = """
[shop]
name = "کافه نگین"
[ledger]
directory = "{directory}/state"
[local]
socket = "{directory}/local.sock"
key = "{key}"
[control]
socket = "{directory}/control.sock"
[log]
format = "{log}"
level = "debug"
[[terminal]]
id = "L0000001"
protocol = "sadad"
mode = "local"
[[terminal]]
id = "C0000301"
protocol = "sadad"
mode = "ecr"
address = "tcp:127.0.0.1:{port}"
card_first = {card_first}
answer_timeout_s = 10
{printer}
"""
_BURST = 90  # requests one connection may send at once
_WAIT_S = 40.0


class ShopDay:
    """Started by `with`, stopped by its end. `replies` collects every byte it ever answered."""

    def __init__(self, directory: Path, **settings: str | int) -> None:
        self.directory = directory
        given = {"key": "sender", "log": "json", "card_first": "false", "port": 9, "printer": ""} | settings
        self._config = directory / "config.toml"
        self._config.write_text(CONFIG.format(directory=directory, **given))
        self._log = directory / "log"
        self._clients: dict[str, tuple[socket.socket, int]] = {}
        self.replies = bytearray()

    def __enter__(self) -> "ShopDay":
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._connect("control").close()
        return self

    def __exit__(self, *_: object) -> None:
        for client, _uses in self._clients.values():
            client.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(_WAIT_S) == 0, self._log.read_text()
        finally:
            self._process.kill()
            self._process.wait()

    def send(self, name: str, line: bytes) -> dict[str, Any]:
        """A line to the socket `name`, its reply. A line with an odd newline gives its first reply."""
        client, uses = self._clients.pop(name, (None, _BURST))
        if client is None or uses >= _BURST:
            if client is not None:
                client.close()
            client, uses = self._connect(name), 0
        client.sendall(line + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            received = client.recv(65_536)
            assert received, self._log.read_text()
            reply += received
        self.replies += reply
        self._clients[name] = (client, uses + 1)
        answer: dict[str, Any] = msgspec.json.decode(reply.splitlines()[0])
        return answer

    def ask(self, name: str, /, **request: Any) -> dict[str, Any]:
        """A request as a client means it."""
        return self.send(name, msgspec.json.encode(request))

    def _connect(self, name: str) -> socket.socket:
        until = time.monotonic() + _WAIT_S
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(_WAIT_S)
            try:
                client.connect(str(self.directory / f"{name}.sock"))
            except OSError:
                client.close()
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < until, self._log.read_text()
                time.sleep(0.02)  # a process starts: there is nothing to wait on but its socket
            else:
                return client

    def places(self) -> Iterator[Place]:
        """Every file of the day (not its configuration and key), replies, and the database's values by table.

        Before the daemon stops, so that the write-ahead log is there too; a backup is made first.
        """
        state = self.directory / "state"
        backup(state / "ledger.db", state / "backups", 7)
        for path in sorted(state.rglob("*")):
            if path.is_file() and path.suffix != ".key":
                yield Place(str(path.relative_to(self.directory)), path.read_bytes())
        yield Place("log", self._log.read_bytes())
        yield Place("replies", bytes(self.replies))
        with closing(sqlite3.connect(state / "ledger.db")) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for (table,) in tables:
                rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our tables
                values = [v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row]
                yield Place(f"values of {table}", b"\0".join(values))
