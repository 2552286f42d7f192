"""Disks for tests: a small one of their own, what fills it, and the bytes that go wrong on it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vafa.ledger.log_frames import HEADER_BYTES, LogFile


@contextlib.contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """A file system of this size at `place`; needs root, which continuous integration must be."""
    place.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=750", "vafa-test", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        assert os.environ.get("CI") != "true", mounted.stderr
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def resize(place: Path, kib: int) -> None:
    """Somebody made room."""
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(place)], check=True)


def fill(place: Path) -> Path:
    """A file that takes all the room there is."""
    filler = place / "somebody's.log"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):
            while os.write(descriptor, bytes(4_096)):
                continue
    finally:
        os.close(descriptor)
    return filler


def flip(path: Path, offset: int) -> None:
    """One byte is another one."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        (byte,) = os.pread(descriptor, 1, offset)
        os.pwrite(descriptor, bytes([byte ^ 0x55]), offset)
    finally:
        os.close(descriptor)


def destroy(path: Path, offset: int) -> None:
    """A sector is lost."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(512))


def used(log: Path) -> int:
    """How far commits go in a write-ahead log, which is longer."""
    with log.open("rb") as file:
        frames = LogFile(file.fileno(), file.read(HEADER_BYTES))
        *_, last = frames.own_from(0)
        return frames.offset(last.number + 1)
