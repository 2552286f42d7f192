"""The disk model and the trace reader, by cases small enough to see through."""

import random
from pathlib import Path

import pytest
from crash.disk import Disk, Image
from crash.strace_log import (
    Answer,
    Create,
    Rename,
    Step,
    StraceLog,
    Sync,
    SyncFailed,
    Truncate,
    Unlink,
    Write,
)

SYNCED_FILE: list[Step] = [Create("f", truncated=False), Write("f", 0, b"old"), Sync("f", 2), Sync("", 3)]


def images(steps: list[Step]) -> list[Image]:
    """The disks that many power cuts after the last step leave, each once."""
    disk, chance = Disk(), random.Random(1)  # noqa: S311 - a repeatable choice, no secret
    for step in steps:
        disk.take(step)
    found: list[Image] = []
    for _ in range(300):
        image = disk.image(chance)
        if image not in found:
            found.append(image)
    return found


def contents(steps: list[Step]) -> set[bytes | None]:
    return {image.get("f") for image in images(steps)}


def test_what_was_synced_is_on_every_disk() -> None:
    assert contents(SYNCED_FILE) == {b"old"}


def test_a_file_whose_name_was_not_synced_may_be_gone() -> None:
    assert contents(SYNCED_FILE[:3]) == {b"old", None}


def test_an_unsynced_write_is_dropped_kept_or_torn() -> None:
    assert contents([*SYNCED_FILE, Write("f", 0, b"new")]) == {b"old", b"nld", b"ned", b"new"}


def test_writes_reach_the_disk_in_any_order() -> None:
    two = [*SYNCED_FILE, Write("f", 0, b"1"), Write("f", 2, b"2")]
    assert contents(two) == {b"old", b"1ld", b"ol2", b"1l2"}


def test_a_torn_write_keeps_any_of_its_sectors() -> None:
    steps: list[Step] = [Create("f", truncated=False), Sync("", 1), Write("f", 256, b"a" * 256 + b"b" * 512)]
    assert bytes(512) + b"b" * 512 in contents(steps)
    assert bytes(256) + b"a" * 256 in contents(steps)


def test_a_sync_covers_only_what_came_before_it_began() -> None:
    late = [*SYNCED_FILE, Write("f", 0, b"1"), Write("f", 1, b"2"), Sync("f", 5)]
    assert contents(late) == {b"1ld", b"12d"}


def test_an_unsynced_truncation_may_not_have_happened() -> None:
    assert contents([*SYNCED_FILE, Truncate("f", 1)]) == {b"old", b"o"}


def test_names_change_in_order() -> None:
    steps = [*SYNCED_FILE, Create("g", truncated=False), Rename("g", "h"), Unlink("f")]
    assert {tuple(image) for image in images(steps)} == {("f",), ("f", "g"), ("f", "h"), ("h",)}


def test_a_sync_of_a_directory_does_not_cover_another_directory() -> None:
    steps: list[Step] = [Create("a/f", truncated=False), Sync("", 1)]
    assert {} in images(steps)
    assert images([*steps, Sync("a", 2)]) == [{"a/f": b""}]


def test_after_a_failed_sync_only_writing_again_helps() -> None:
    failed = [*SYNCED_FILE, Write("f", 0, b"new"), SyncFailed("f", 5), Sync("f", 6)]
    assert contents(failed) == {b"old", b"nld", b"ned", b"new"}
    assert contents([*failed, Write("f", 0, b"new"), Sync("f", 8)]) == {b"new"}


def hexed(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = hexed(str(tmp_path / "f").encode())
    lines = [
        f'7 openat(AT_FDCWD, "{path}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3',
        f'7 pwrite64(3, "{hexed(b"abc")}", 3, 0) = 3',
        "7 fdatasync(3 <unfinished ...>",
        f'8 pwrite64(3, "{hexed(b"xyz")}", 3, 8 <unfinished ...>',
        f'9 sendto(5, "{hexed(b"hello")}", 5, 0, NULL, 0 <unfinished ...>',
        "8 <... pwrite64 resumed>) = 2",
        "7 <... fdatasync resumed>) = 0",
        "9 <... sendto resumed>) = 5",
        "7 fdatasync(3) = -1 EIO (Input/output error)",
        "7 close(3) = 0",
        f'7 openat(AT_FDCWD, "{hexed(b"/etc/passwd")}", O_RDONLY) = 3',
        "7 fsync(3) = 0",
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    return tmp_path / "log"


def test_calls_of_several_threads_are_read_in_the_order_they_took_effect(log: Path) -> None:
    reader = StraceLog(log.parent)
    reader.read(log)
    assert reader.steps == [
        Create("f", truncated=False),
        Write("f", 0, b"abc"),
        Answer(b"hello"),  # from when it began: the client may have it
        Write("f", 8, b"xy"),  # as far as it went
        Sync("f", 2),  # covers what had returned when it began
        SyncFailed("f", 5),
    ]


def test_a_process_started_meanwhile_has_numbers_of_its_own_for_its_files(tmp_path: Path) -> None:
    ours, theirs = hexed(str(tmp_path / "f").encode()), hexed(str(tmp_path / "g").encode())
    lines = [
        f'7 openat(AT_FDCWD, "{ours}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3',
        "7 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f} => {parent_tid=[8]}, 88) = 8",
        "8 vfork( <unfinished ...>",
        f'9 openat(AT_FDCWD, "{theirs}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3',
        "8 <... vfork resumed>) = 9",
        "9 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f} <unfinished ...>",
        f'10 pwrite64(3, "{hexed(b"child")}", 5, 0) = 5',
        "9 <... clone3 resumed> => {parent_tid=[10]}, 88) = 10",
        "9 close(3) = 0",
        f'8 pwrite64(3, "{hexed(b"daemon")}", 6, 0) = 6',
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    reader = StraceLog(tmp_path)
    reader.read(tmp_path / "log")
    assert reader.steps[2:] == [Write("g", 0, b"child"), Write("f", 0, b"daemon")]


def test_a_change_of_a_file_the_model_does_not_know_is_an_error(log: Path) -> None:
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], "7 writev(3, [], 0) = 0"]))
    with pytest.raises(AssertionError, match="not in the disk model"):
        StraceLog(log.parent).read(log)
