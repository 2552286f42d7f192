"""A disk that may lose power: what can be on it after any prefix of a process's steps.

The model of the file system:

* A file is its content; a directory is a list of names. Each becomes durable by a sync of its own: of the
  file for its content and length, of the directory for its names. A sync of a new file does not make its name
  durable (some file systems do more; none that is used does less).
* Each write or truncation that was not synced is, independently of the others, on the disk or not; so later
  ones may be there without earlier ones, and between files there is no order at all. Where a kept write
  begins beyond the end, zeros fill the hole.
* A write may be torn: any subset of its 512-byte sectors (as they lie in the file) or any prefix of its bytes
  is there. Bytes beside the written ones do not change (SQLite calls it powersafe overwrite).
* A sync that fails makes nothing durable, and no later sync does: the kernel may have given those writes up
  while reading still shows them. Only writing them again helps.
* Names change in order, as in every journalling file system: some prefix of the unsynced creations, removals
  and renames is there.
* Directories themselves are there from the beginning: the installer makes them.
* SQLite's -shm file is memory shared between processes and never synced: it is on no disk.
* Everything kept is the disk after kill -9; everything unsynced gone is the strictest power cut.
"""

import random
from pathlib import Path
from typing import NamedTuple

from crash.strace_log import Answer, Create, Link, Rename, Step, Sync, SyncFailed, Truncate, Unlink, Write

SECTOR_BYTES = 512
_NOT_ON_DISK = ("-shm", ".lock", ".sock")
Image = dict[str, bytes]


class Change(NamedTuple):
    """An unsynced change of a file's content. `number` is the step it came from."""

    number: int
    step: Write | Truncate
    given_up: bool = False  # a sync of it failed


class File:
    """One file's content: what is durable, and what came after the last sync."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Change] = []
        self._whole: bytes | None = None

    def whole(self) -> bytes:
        """What is durable; the same object until that changes, for most images have most files so."""
        if self._whole is None:
            self._whole = bytes(self.durable)
        return self._whole

    def sync(self, before: int) -> None:
        """Make durable what was changed by steps numbered below `before`."""
        left: list[Change] = []
        for change in self.pending:
            if change.number >= before or change.given_up:
                left.append(change)
            else:
                left = [earlier for earlier in left if not _covers(change.step, earlier.step)]
                _apply(self.durable, change.step)
                self._whole = None
        self.pending = left

    def give_up(self, before: int) -> None:
        """A sync failed."""
        self.pending = [
            change._replace(given_up=True) if change.number < before else change for change in self.pending
        ]


class Renaming(NamedTuple):
    """An unsynced change of names: `file` None removes `path`; `gone` is the name a rename frees."""

    number: int
    path: str
    file: File | None
    gone: str = ""


class Disk:
    """Takes steps one by one; `image` gives one of the disks that a power cut could leave now."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._pending_names: list[Renaming] = []
        self._taken = 0

    def take(self, step: Step) -> None:
        """The next step of the process."""
        number = self._taken
        self._taken += 1
        match step:
            case Create(path, truncated):
                if truncated:
                    self.names[path].pending.append(Change(number, Truncate(path, 0)))
                else:
                    self._rename(Renaming(number, path, File()))
            case Write(path) | Truncate(path):
                self.names[path].pending.append(Change(number, step))
            case Unlink(path):
                if path in self.names:
                    self._rename(Renaming(number, path, None))
            case Rename(old, new) | Link(old, new):
                if old in self.names:
                    gone = old if isinstance(step, Rename) else ""
                    self._rename(Renaming(number, new, self.names[old], gone))
            case Sync(path, before):
                self._sync(path, before)
            case SyncFailed(path, before):
                if path in self.names:
                    self.names[path].give_up(before)
            case Answer():
                return

    def _rename(self, change: Renaming) -> None:
        _apply_name(self.names, change)
        self._pending_names.append(change)

    def _sync(self, path: str, before: int) -> None:
        if path in self.names:
            self.names[path].sync(before)
            return
        left = []
        for change in self._pending_names:
            if change.number < before and str(Path(change.path).parent) in (path, path or "."):
                _apply_name(self._durable_names, change)
            else:
                left.append(change)
        self._pending_names = left

    def image(self, chance: random.Random) -> Image:
        """One possible disk, by chance; the extreme ones come often."""
        how = chance.choice(("all", "none", "each", "each", "torn", "torn", "front"))
        names = dict(self._durable_names)
        kept = {"all": len(self._pending_names), "none": 0}.get(
            how, chance.randint(0, len(self._pending_names))
        )
        for change in self._pending_names[:kept]:
            _apply_name(names, change)
        return {
            path: bytes(_content(file, how, chance)) if file.pending else file.whole()
            for path, file in sorted(names.items())
            if not path.endswith(_NOT_ON_DISK)
        }


def _content(file: File, how: str, chance: random.Random) -> bytearray:
    content = bytearray(file.durable)
    reached = chance.randint(0, len(file.pending))
    for place, change in enumerate(file.pending):
        match how:
            case "all":
                _apply(content, change.step)
            case "each":
                if chance.random() < 0.5:
                    _apply(content, change.step)
            case "front":  # what a disk that writes in order leaves: a prefix, its last write torn
                if place < reached:
                    _apply(content, change.step)
                elif place == reached:
                    _apply_torn(content, change.step, chance)
            case "torn":
                if chance.random() < 0.7:
                    _apply_torn(content, change.step, chance)
            case _:
                assert how == "none"
    return content


def _covers(later: Write | Truncate, earlier: Write | Truncate) -> bool:
    """True when nothing of `earlier` can show behind `later`."""
    match later, earlier:
        case Truncate(_, size), Write(_, offset, _):
            return offset >= size
        case Write(_, start, data), Write(_, offset, old):
            return start <= offset and offset + len(old) <= start + len(data)
        case _:
            return isinstance(earlier, Truncate)


def _apply(content: bytearray, step: Write | Truncate) -> None:
    match step:
        case Truncate(_, size):
            del content[size:]
            content.extend(bytes(size - len(content)))
        case Write(_, offset, data):
            if data:
                content.extend(bytes(max(0, offset - len(content))))
                content[offset : offset + len(data)] = data


def _apply_torn(content: bytearray, step: Write | Truncate, chance: random.Random) -> None:
    """Some of a write: a prefix of its bytes, or any of the sectors it touches. A truncation is whole."""
    if isinstance(step, Truncate):
        _apply(content, step)
    elif chance.random() < 0.4:
        _apply(content, step._replace(data=step.data[: chance.randint(0, len(step.data))]))
    else:
        start = step.offset
        while start < step.offset + len(step.data):
            end = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, step.offset + len(step.data))
            if chance.random() < 0.5:
                _apply(content, Write(step.path, start, step.data[start - step.offset : end - step.offset]))
            start = end


def _apply_name(names: dict[str, File], change: Renaming) -> None:
    if change.file is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.file
        if change.gone:
            names.pop(change.gone, None)


def write_image(image: Image, directory: Path) -> None:
    """Put an image where a ledger can be opened from it."""
    for path, content in image.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o600)
