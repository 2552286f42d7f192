"""A unix socket as the place of a line server: its path, its mode, its group.

The socket has its mode and group before anybody can reach it: it is bound under a private name and renamed.
"""

import contextlib
import grp
import os
import socket
import stat
import struct
from pathlib import Path

from vafa.model.errors import PortError
from vafa.ports.line_server import Peer

_SUN_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path without its closing NUL
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_STALE_PROBE_S = 1.0


class UnixPlace:
    """The socket file at `path`.

    mode    permission bits of the socket file
    group   the group it is given to, '' for the process's own
    """

    def __init__(self, path: Path, mode: int, group: str) -> None:
        self.name = path.name
        self.path = path
        self._mode, self._group = mode, group
        self._inode = 0

    def __str__(self) -> str:
        return str(self.path)

    def open(self, backlog: int) -> socket.socket:
        """PortError when another process serves the path, or it cannot be made."""
        _refuse_live(self.path)
        private = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        if len(os.fsencode(private)) > _SUN_PATH_BYTES_MAX:
            raise PortError(
                f"{self.path}: the name of a socket may have {_SUN_PATH_BYTES_MAX - 12} bytes at most"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            private.unlink(missing_ok=True)
            listener.bind(str(private))
            private.chmod(self._mode)
            if self._group:
                give(private, self._group)
            listener.listen(backlog)
            self._inode = private.stat().st_ino
            private.rename(self.path)  # replaces what a dead process left
        except PortError as error:
            listener.close()
            private.unlink(missing_ok=True)
            raise PortError(f"{self.path}: {error}", fix=error.fix) from error
        except OSError as error:
            listener.close()
            with contextlib.suppress(OSError):
                private.unlink(missing_ok=True)
            raise PortError(
                f"{self.path} cannot be made: {error.strerror}", fix=f"check the directory {self.path.parent}"
            ) from error
        return listener

    def close(self) -> None:
        """Removes the socket file, unless it is a successor's."""
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    def peer(self, connection: socket.socket) -> Peer:
        """Who is at the other end, by the kernel's word."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return Peer(*_CREDENTIALS.unpack(raw))


def give(path: Path, group: str) -> None:
    """Hands a file to a group, which without root's powers must be one of ours. PortError when it is not."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PortError(f"there is no group {group!r}", fix=f"sudo groupadd --system {group}") from error
    try:
        os.chown(path, -1, gid)
    except PermissionError as error:
        raise PortError(
            f"it cannot be given to the group {group!r}, of which this process is no member",
            fix=f"sudo systemctl edit vafa: [Service] SupplementaryGroups={group}; then restart it",
        ) from error


def _refuse_live(path: Path) -> None:
    """PortError when a living process serves `path`, or it is something else than a socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise PortError(f"{path} is in the way: it is no socket", fix=f"look at it, then: sudo rm {path}")
    except OSError:
        return  # not there, or its directory is not: binding says which
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_STALE_PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # left by a process that died
        except OSError as error:
            raise PortError(f"{path} cannot be tried: {error}", fix="run as the service user") from error
    raise PortError(f"{path} is served by another process", fix="systemctl status vafa", code="RUN-002")
