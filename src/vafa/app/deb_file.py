"""A Debian package as a file: its members, what it says of itself, and the release inside.

Read here and not by dpkg: an update takes the release alone, runs none of the package's scripts, and must not
depend on what state dpkg is in. Only what was found to be signed comes here, and it is still not trusted to
name a place outside the release's own folder.
"""

import contextlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec

from vafa.app.releases import UpdateError

INSIDE = PurePosixPath("opt/vafa/package")
_MAGIC, _HEADER_BYTES = b"!<arch>\n", 60
_SAID_EVERY_FILES = 500
# tarfile lets out more than its own: numbers that are none or endless, a name with a zero byte, a thousand
# headers for one member.
_BROKEN = (tarfile.TarError, LZMAError, zlib.error, EOFError, ValueError, OverflowError, RecursionError)
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]{0,99}")  # Debian's, without an epoch: it becomes a folder's name


class Facts(msgspec.Struct, frozen=True):
    """What a package's control file says."""

    name: str
    version: str
    arch: str
    installed_bytes: int


class _Window(io.RawIOBase):
    """A member of the archive as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        self._at = at + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._at)
        taken = self._file.read(max(0, min(len(wanted), self._size - self._at)))
        wanted[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)


class DebFile:
    """An open package. UpdateError (UPD-002) for what is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members = self._found()

    def facts(self) -> Facts:
        """From its control file."""
        with self._archive("control.tar") as control:
            member = next(
                (each for each in _each(control) if PurePosixPath(each.name) == PurePosixPath("control")),
                None,
            )
            text = control.extractfile(member) if member is not None else None
            if text is None:
                raise not_a_package("it has no control file")
            lines = text.read(65_536).decode("utf-8", "replace").splitlines()
        said = dict(line.partition(": ")[::2] for line in lines if not line.startswith(" "))
        kib, version = said.get("Installed-Size", "")[:12], said.get("Version", "")
        if not _VERSION.fullmatch(version):
            raise not_a_package(f"its version {version[:100]!r} is none")
        return Facts(
            said.get("Package", ""), version, said.get("Architecture", ""),
            int(kib) * 1024 if kib.isascii() and kib.isdigit() else 0,
        )  # fmt: skip

    def unpack(self, place: Path, say: Callable[[int], None]) -> None:
        """The release inside, at `place`, which is new. `say` hears how many files are there so far."""
        place.mkdir(parents=True)
        count = 0
        with self._archive("data.tar") as data:
            for member in _each(data):
                path = PurePosixPath(member.name)
                if path == INSIDE or not path.is_relative_to(INSIDE):
                    continue
                inside = path.relative_to(INSIDE)
                kept = member.isreg() or member.isdir() or member.issym()
                if ".." in inside.parts or not kept or member.issparse():
                    raise not_a_package(f"{member.name} is nothing a release has")
                if any((place / above).is_symlink() for above in inside.parents):
                    raise not_a_package(f"{member.name} leads through a link")
                self._put(data, member, place / inside)
                count += 1
                if count % _SAID_EVERY_FILES == 0:
                    say(count)
        if not (place / "release.json").exists():
            raise not_a_package("there is no release in it")
        say(count)

    def _put(self, data: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            target.mkdir(exist_ok=True)
        elif member.issym():
            target.symlink_to(member.linkname)
        else:
            content = data.extractfile(member)
            assert content is not None
            with target.open("xb") as file:
                while chunk := content.read(1 << 20):
                    file.write(chunk)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)

    @contextlib.contextmanager
    def _archive(self, name: str) -> Iterator[tarfile.TarFile]:
        for member, (start, size) in self._members.items():
            if member.startswith(name):
                window = io.BufferedReader(_Window(self._file, start, size))
                try:
                    with tarfile.open(fileobj=window, mode="r:*") as archive:
                        yield archive
                except _BROKEN as error:
                    raise not_a_package(f"{member}: {error}") from error
                return
        raise not_a_package(f"it has no {name}")

    def _found(self) -> dict[str, tuple[int, int]]:
        """name -> (where it starts, its size) of each member of the `ar` archive."""
        self._file.seek(0)
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise not_a_package("it is no Debian package")
        found: dict[str, tuple[int, int]] = {}
        at = len(_MAGIC)
        while header := self._file.read(_HEADER_BYTES):
            size = header[48:58].strip()
            if len(header) != _HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
                raise not_a_package("its archive is broken: it was not copied whole?")
            found[header[:16].decode("ascii", "replace").strip().rstrip("/")] = (
                at + _HEADER_BYTES,
                int(size),
            )
            at += _HEADER_BYTES + int(size) + int(size) % 2
            self._file.seek(at)
        return found


def _each(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members. One of a size below nothing would lead back to itself without end."""
    for member in archive:
        if member.size < 0:
            raise not_a_package(f"{member.name} has no possible size")
        yield member


def not_a_package(why: str) -> UpdateError:
    """The refusal of a file that is no package of ours."""
    return UpdateError(
        f"this file cannot be taken: {why}", fix="copy the package again, whole", code="UPD-002"
    )
