"""A short run of every target, the same each time; and each target finds what its guard keeps out.

`scripts/fuzz` does the same with as many inputs as one has time for.
"""

import time
from random import Random
from typing import Any

import msgspec
import pytest
from fuzz import run
from fuzz.all_targets import TARGETS
from fuzz.mutate import BYTES_MAX, Mutator
from fuzz.target import Target

from vafa.app import cable, config_faults, control, desk, restoring, sync_talk
from vafa.app.overheard import Direction
from vafa.books import undo
from vafa.cli import decode_sadad
from vafa.club import reading
from vafa.codecs import sadad_announce, sadad_fields, sadad_frames
from vafa.hub import answers as hub_answers
from vafa.hub import sync as hub_sync
from vafa.keys import recovery
from vafa.keys import release as signing
from vafa.ports import relay_wire
from vafa.receipt import iransystem
from vafa.sync import enrol, kept, netlink, parcel
from vafa.wire import rows

SHORT = {"hub": 60, "backup": 150, "sync-file": 150, "update": 200, "local": 400, "control": 400}
INPUTS = 800
SEARCHED_MAX = 30_000


@pytest.mark.parametrize("make", TARGETS, ids=lambda make: make.name)
def test_nothing_is_found_in_inputs_by_chance(make: type[Target]) -> None:
    told = run.fuzz(make, SHORT.get(make.name, INPUTS), "a test")
    assert not told.findings, told.findings[0].why
    assert len(told.words) > 1, "some inputs are understood and some are not"


class Anything(int):
    """Equal to whatever it is compared with: a check that always holds."""

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False

    __hash__ = int.__hash__


def anything(*_: object) -> Any:
    return Anything()


def always(*_: object) -> bool:
    return True


def as_it_is(text: str, *_: object) -> str:
    return text


def never(*_: object, **__: object) -> tuple[()]:
    return ()


GUARDS: dict[str, tuple[Any, str, Any]] = {
    "sadad-line": (sadad_frames, "checksum", anything),
    "sadad-messages": (sadad_fields, "mask_pans", as_it_is),
    "sadad-overheard": (Direction, "flush", lambda self: self._reader.flush()),
    "sadad-udp": (sadad_announce, "_address", lambda host, port: f"{host}:{port}"),
    "opt6": (iransystem, "_sign", lambda code: iransystem._CHARACTERS[code]),
    "relay": (relay_wire, "read_hello", lambda message: message.payload.decode()),
    "local": (desk.Desk, "_echoed", lambda _desk, name: name),
    "cable": (cable, "check_of", anything),
    "control": (control, "mask_pans", as_it_is),
    "config": (config_faults, "_refuse_twins", never),
    "programme": (reading, "nonsense", never),
    "journal": (undo, "require", never),
    "rows": (rows, "read_varint", lambda data, at: (data[at], at + 1)),
    "sync-requests": (hub_answers, "read_envelope", msgspec.msgpack.decode),
    "sync-answers": (parcel, "is_signed", always),
    "enrol-answers": (enrol, "is_signed", always),
    "hub": (hub_sync, "is_signed", always),
    "sync-talk": (sync_talk, "_said", lambda decoder, line: decoder.decode(line)),
    "links": (netlink, "_number", lambda packed: netlink._U32.unpack(packed)[0]),
    "keys": (recovery, "read", lambda text: msgspec.json.decode(text, type=recovery.SealedKeys)),
    "backup": (restoring, "chain_faults", never),
    "sync-file": (kept, "_bytes", as_it_is),
    "update": (signing, "is_by_its_key", always),
    "captures": (decode_sadad, "mask_pans", as_it_is),
}


@pytest.mark.parametrize("make", TARGETS, ids=lambda make: make.name)
def test_a_guard_that_is_switched_off_is_found(make: type[Target], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*GUARDS[make.name])
    told = run.fuzz(make, SEARCHED_MAX, "a search", findings_max=1)
    assert told.findings, f"{told.inputs:,} inputs and nothing was found"


class Faulty(Target):
    """A target with a fault of each kind, for the run itself."""

    name = "faulty"
    what = "nothing real"
    share = 1
    cpu_s_max = 0.02
    seeds = (b"some bytes", b"others")
    fault = ""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def judge(self, data: bytes, random: Random) -> str:
        if self.fault == "leaks":
            self.kept.append(data * 2)
        if self.fault == "slow" and b"9999" in data:
            ends = time.process_time() + 0.1
            while time.process_time() < ends:
                continue
        return str(len(data) % 3)


@pytest.mark.parametrize(
    ("fault", "why", "count"),
    [("", "", 21_000), ("leaks", "memory grew", 21_000), ("slow", "s of CPU", 5_000)],
)
def test_memory_that_grows_and_an_input_that_takes_long_are_found(
    monkeypatch: pytest.MonkeyPatch, fault: str, why: str, count: int
) -> None:
    monkeypatch.setattr(Faulty, "fault", fault)
    told = run.fuzz(Faulty, count, "a test", findings_max=1)
    assert bool(told.findings) == bool(fault)
    assert all(why in found.why for found in told.findings)


def test_the_same_seed_gives_the_same_inputs() -> None:
    def inputs(seed: str) -> list[bytes]:
        mutator = Mutator(Random(seed), (b"a frame", b"another"), (b"word",))  # noqa: S311
        return [mutator.next() for _ in range(500)]

    assert inputs("a") == inputs("a") != inputs("b")
    assert len(set(inputs("a"))) > 300
    assert max(map(len, inputs("a"))) <= BYTES_MAX
