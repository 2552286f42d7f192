"""What a process did to its files and what it told its clients, read from `strace -f -xx`.

Each finished system call becomes one step, in the order the calls returned. Two exceptions keep the reading
sound with several threads: an answer counts from the moment its call began (the client may have it already),
and a sync covers only what had returned before the sync began. A call that changes a file in a way this
reader does not know is an error, never silently left out; a kind of sync it does not know merely makes the
disk model more pessimistic. A process the daemon starts shares its files, but not its numbers for them. What
is written to anything but a file of ours (a pipe, a socket, a screen) is an answer: somebody may have it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

TRACED = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,"
    "fallocate,copy_file_range,sendfile,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,sendto,sendmsg,clone,clone3,fork,vfork"
)
_CALL = re.compile(r"^(\d+) +(\w+)\((.*?)(?:\) += (-?\d+).*| <unfinished \.\.\.>)$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)")
_BIRTH = re.compile(r"^(\d+) +(<\.\.\. )?(?:clone3?|v?fork)\b(.*?)(?:= (\d+)| <unfinished \.\.\.>)$")
_ARGUMENT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|([^,\s"]+)')
_UNKNOWN_CHANGES = frozenset(
    "dup dup2 dup3 writev pwritev pwritev2 truncate copy_file_range sendfile symlink symlinkat".split()
)
_NAMING = frozenset("unlink unlinkat rename renameat renameat2 link linkat".split())


class Create(NamedTuple):
    """A name that was not there got a new, empty file; `truncated` when it was there and is emptied.

    process  that did it, "" for the daemon itself
    """

    path: str
    truncated: bool
    process: str = ""


class Write(NamedTuple):
    path: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    path: str
    size: int


class Unlink(NamedTuple):
    path: str


class Rename(NamedTuple):
    old: str
    new: str


class Link(NamedTuple):
    """The file has another name, too."""

    old: str
    new: str


class Sync(NamedTuple):
    """All steps numbered below `before` that touch this file (or this directory's names) are durable."""

    path: str
    before: int


class SyncFailed(NamedTuple):
    """The disk refused: what was to be synced may never get there, though reading still shows it."""

    path: str
    before: int


class Answer(NamedTuple):
    """Bytes a client may have seen, from this process."""

    data: bytes
    process: str = ""


Step = Create | Write | Truncate | Unlink | Rename | Link | Sync | SyncFailed | Answer


class _Open(NamedTuple):
    path: str
    append: bool


class StraceLog:
    """Reads the logs of one or more runs over the same directory, one after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory.resolve())
        self._process: dict[str, str] = {}  # thread -> the process it belongs to, where that is a child's
        self._files: dict[tuple[str, int], _Open] = {}  # by process and descriptor
        self._position: dict[tuple[str, int], int] = {}
        self._sizes: dict[str, int] = {}
        self._begun: dict[str, tuple[int, str]] = {}
        self.steps: list[Step] = []

    def found(self) -> int:
        """The files that are there before anything runs, as steps that are durable; how many steps."""
        for path in sorted(Path(self._directory).rglob("*")):
            if path.is_file():
                name, content = str(path.relative_to(self._directory)), path.read_bytes()
                self._sizes[name] = len(content)
                self.steps += [Create(name, truncated=False), Write(name, 0, content)]
                self.steps += [Sync(name, len(self.steps))]
                folder = str(Path(name).parent)
                self.steps.append(Sync("" if folder == "." else folder, len(self.steps)))
        return len(self.steps)

    def read(self, log: Path) -> None:
        """Append the steps of one run; its descriptors are forgotten when it ends."""
        self._files.clear()
        self._position.clear()
        self._begun.clear()
        with log.open(encoding="ascii", errors="replace") as lines:
            self._process = _children(lines)
        with log.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                self._line(line.rstrip("\n"))

    def _line(self, line: str) -> None:
        call = _CALL.match(line)
        if call:
            thread, name, arguments, result = call.groups()
            if result is None:
                self._begin(thread, name, arguments)
                return
            begun = len(self.steps)
            if name in ("sendto", "sendmsg"):
                self._answer(thread, arguments)
            else:
                self._end(thread, name, arguments, int(result), begun)
            return
        resumed = _RESUMED.match(line)
        if resumed:
            thread, name, rest, result = resumed.groups()
            begun, arguments = self._begun.pop(thread)
            if name not in ("sendto", "sendmsg", "close"):
                self._end(thread, name, arguments + rest, int(result), begun)

    def _begin(self, thread: str, name: str, arguments: str) -> None:
        self._begun[thread] = (len(self.steps), arguments)
        if name in ("sendto", "sendmsg"):
            self._answer(thread, arguments)
        elif name == "write" and (self._process.get(thread, ""), _descriptor(arguments)) not in self._files:
            self._answer(thread, arguments)
            self._begun[thread] = (len(self.steps), "")  # nothing is left to be told at its return
        elif name == "close":
            self._end(thread, name, arguments, 0, len(self.steps))

    def _answer(self, thread: str, arguments: str) -> None:
        data = b"".join(_bytes(text) for text in re.findall(r'"((?:\\x[0-9a-f]{2})+)"', arguments))
        self.steps.append(Answer(data, self._process.get(thread, "")))

    def _end(self, thread: str, name: str, arguments: str, result: int, begun: int) -> None:
        process = self._process.get(thread, "")
        args = [text if hexed is None else _bytes(hexed) for hexed, text in _split(arguments)]
        if result < 0:
            if name in ("fsync", "fdatasync") and (process, int(args[0])) in self._files:
                self.steps.append(SyncFailed(self._files[process, int(args[0])].path, begun))
        elif name in ("open", "openat", "creat"):
            self._opened(args, (process, result))
        elif name in _NAMING:
            self._named(name, self._paths(process, args))
        elif name == "close":
            self._files.pop((process, int(args[0])), None)
        elif args and args[0].isdigit() and (process, int(args[0])) in self._files:
            self._on_file(name, (process, int(args[0])), args, result, begun)
        elif name == "write" and len(args) > 1 and isinstance(args[1], bytes):
            self.steps.append(Answer(args[1][:result], process))

    def _paths(self, process: str, args: list[str | bytes]) -> list[str | None]:
        """The paths of a call; one that is told from an open directory is taken from there."""
        found: list[str | None] = []
        folder: _Open | None = None
        for arg in args:
            if isinstance(arg, str):
                folder = self._files.get((process, int(arg))) if arg.isdigit() else None
            elif folder is not None and not arg.startswith(b"/"):
                found.append("/".join(filter(None, (folder.path, arg.decode()))))
                folder = None
            else:
                found.append(self._ours(arg))
                folder = None
        return found

    def _opened(self, args: list[str | bytes], descriptor: tuple[str, int]) -> None:
        path = self._paths(descriptor[0], args)[0]
        flags = next((arg for arg in args if isinstance(arg, str) and arg.startswith("O_")), "O_RDONLY")
        assert isinstance(flags, str)
        self._files.pop(descriptor, None)
        if path is None:
            return
        words = flags.split("|")
        self._files[descriptor] = _Open(path, "O_APPEND" in words)
        self._position[descriptor] = 0
        new = "O_CREAT" in words and path not in self._sizes
        if new or ("O_TRUNC" in words and path in self._sizes):
            self._sizes[path] = 0
            self.steps.append(Create(path, truncated=not new, process=descriptor[0]))

    def _named(self, name: str, paths: list[str | None]) -> None:
        if name.startswith("unlink"):
            (path,) = paths
            if path is not None:
                self._sizes.pop(path, None)
                self.steps.append(Unlink(path))
            return
        old, new = paths
        assert (old is None) == (new is None), "a file was moved into or out of the directory"
        if old is None or new is None:
            return
        if name.startswith("link"):
            self._sizes[new] = self._sizes[old]
            self.steps.append(Link(old, new))
            return
        if old in self._sizes:
            self._sizes[new] = self._sizes.pop(old)
        self.steps.append(Rename(old, new))

    def _on_file(
        self, name: str, descriptor: tuple[str, int], args: list[str | bytes], result: int, begun: int
    ) -> None:
        file = self._files[descriptor]
        path = file.path
        match name:
            case "fsync" | "fdatasync":
                self.steps.append(Sync(path, begun))
            case "ftruncate":
                self._sizes[path] = int(args[1])
                self.steps.append(Truncate(path, int(args[1])))
            case "lseek":
                self._position[descriptor] = result
            case "fallocate":
                self._sizes[path] = max(self._sizes.get(path, 0), int(args[2]) + int(args[3]))
                self.steps.append(Truncate(path, self._sizes[path]))
            case "fallocate":
                self._sizes[path] = int(args[2]) + int(args[3])
                self.steps.append(Truncate(path, self._sizes[path]))
            case "write" | "pwrite64":
                data = args[1]
                assert isinstance(data, bytes)
                size = self._sizes.get(path, 0)
                here = size if file.append else self._position[descriptor]
                offset = int(args[3]) if name == "pwrite64" else here
                if name == "write":
                    self._position[descriptor] = offset + result
                self._sizes[path] = max(size, offset + result)
                self.steps.append(Write(path, offset, data[:result]))
            case _:
                assert name not in _UNKNOWN_CHANGES, f"{name} on {path} is not in the disk model"

    def _ours(self, path: bytes) -> str | None:
        """The path inside the directory ('' for the directory itself); None for other files."""
        text = path.decode()
        assert text.startswith("/") or not text.startswith(self._directory)
        if text == self._directory:
            return ""
        return text.removeprefix(self._directory + "/") if text.startswith(self._directory + "/") else None


def _children(lines: Iterable[str]) -> dict[str, str]:
    """Thread -> process, of the processes started meanwhile and their threads.

    Read ahead, for a child's first calls may stand before the return of the call that made it.
    """
    begun: dict[str, str] = {}
    makers: dict[str, str] = {}  # a thread -> the one that started it
    found: dict[str, str] = {}
    for line in lines:
        birth = _BIRTH.match(line.rstrip("\n"))
        if birth is None:
            continue
        maker, resumed, arguments, made = birth.groups()
        if made is None:
            begun[maker] = arguments
        elif "CLONE_THREAD" in (begun.pop(maker) if resumed else arguments):
            makers[made] = maker
        else:
            found[made] = made
    for thread in makers:
        first = thread
        while first in makers:
            first = makers[first]
        if first in found:
            found[thread] = first
    return found


def _descriptor(arguments: str) -> int:
    return int(arguments.partition(",")[0])


def _split(arguments: str) -> Iterator[tuple[str | None, str]]:
    for found in _ARGUMENT.finditer(arguments):
        yield found.group(1), found.group(2) or ""


def _bytes(hexed: str) -> bytes:
    return bytes.fromhex(hexed.replace("\\x", ""))
