"""A signed package becomes a release beside the one that runs, or is refused and leaves nothing behind."""

import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vafa.app import new_release
from vafa.app.new_release import prepared, sign
from vafa.app.releases import Releases, UpdateError
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey

OURS, ANOTHER = SigningKey(DeviceKey(b"1" * 32)), SigningKey(DeviceKey(b"2" * 32))
SELF_TEST = """#!/bin/sh
echo '{"name":"modules","ok":true,"words":"3 modules"}'
echo '{"name":"ledger","ok":%s,"words":"%s","code":"UPD-005","fix":"free disk space"}'
exit %d
"""
PASSES, FAILS = SELF_TEST % ("true", "2 rows", 0), SELF_TEST % ("false", "no room", 1)


def archive(**files: bytes) -> bytes:
    """A tar.xz of files by name; what begins with -> is a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=0) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo("./" + name)
            if content.startswith(b"->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:].decode()
            else:
                member.size, member.mode = len(content), 0o755 if "/bin/" in name else 0o644
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def deb(path: Path, members: dict[str, bytes]) -> Path:
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(content))
            file.write(header + content + b"\n" * (len(content) % 2))
    return path


def package(
    path: Path, version: str = "1.1", test: str = PASSES, schema: tuple[int, int] = (6, 6),
    control: dict[str, str] | None = None, more: dict[str, bytes] | None = None,
) -> Path:  # fmt: skip
    said = {"Package": "vafa", "Version": version, "Architecture": "amd64", "Installed-Size": "100"}
    lines = "".join(f"{name}: {value}\n" for name, value in (said | (control or {})).items())
    about = {
        "version": version,
        "arch": "amd64",
        "ledger_writes": schema[0],
        "ledger_readable_since": schema[1],
    }
    inside = "opt/vafa/package"
    files = {
        f"{inside}/release.json": json.dumps(about).encode(), f"{inside}/bin/python": test.encode(),
        f"{inside}/lib/python3.11/x.py": b"x = 1\n", f"{inside}/bin/python3": b"->python",
        "usr/lib/vafa/releases": b"never taken", **(more or {}),
    }  # fmt: skip
    members = {
        "debian-binary": b"2.0\n", "control.tar.xz": archive(control=lines.encode()),
        "data.tar.xz": archive(**files),
    }  # fmt: skip
    return deb(path, members)


class Device:
    """1.0 runs, 0.9 is kept; `say` remembers."""

    def __init__(self, root: Path) -> None:
        self.releases, self.said = Releases(root), list[str]()
        for version in ("0.9", "1.0"):
            place = self.releases.path(version)
            place.mkdir(parents=True)
            about = {"version": version, "arch": "amd64", "ledger_writes": 6, "ledger_readable_since": 6}
            (place / "release.json").write_text(json.dumps(about))
        (root / "current").symlink_to("releases/1.0")
        (root / "previous").symlink_to("releases/0.9")

    def take(self, file: Path, *keys: SigningKey) -> str:
        named = [key.public.hex() for key in keys or (OURS,)]
        return prepared(self.releases, file, named, Path("/nowhere/config.toml"), self.said.append)

    def there(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.releases.root)) for path in self.releases.root.glob("*")
        ) + sorted(path.name for path in (self.releases.root / "releases").iterdir())


AS_IT_WAS = ["current", "previous", "releases", "0.9", "1.0"]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    (tmp_path / "opt").mkdir()
    return Device(tmp_path / "opt")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    path = package(tmp_path / "new.deb")
    sign(path, OURS)
    return path


def test_a_signed_release_is_put_beside_and_tried_and_nothing_that_runs_is_touched(
    device: Device, signed: Path
) -> None:
    assert device.take(signed) == "1.1"
    assert device.there() == [*AS_IT_WAS, "1.1"]
    assert (device.releases.link("current"), device.releases.link("previous")) == ("1.0", "0.9")
    release = device.releases.path("1.1")
    assert os.access(release / "bin/python", os.X_OK)
    assert not os.access(release / "lib/python3.11/x.py", os.X_OK)
    assert (release / "bin/python3").readlink() == Path("python")
    assert not list(release.rglob("releases"))
    assert "  ledger: 2 rows" in device.said
    assert any(line.startswith("unpacking 1.1") for line in device.said)


def test_dpkg_takes_a_signed_package_as_it_is(signed: Path) -> None:
    said = subprocess.run(
        ["dpkg-deb", "--field", signed, "Version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "1.1"


def test_signing_again_replaces_the_signature(device: Device, signed: Path) -> None:
    size = signed.stat().st_size
    sign(signed, ANOTHER)
    assert signed.stat().st_size == size
    with pytest.raises(UpdateError, match="a key this device does not know"):
        device.take(signed)
    assert device.take(signed, ANOTHER) == "1.1"


def test_a_release_signed_by_the_running_release_s_own_key_needs_no_setting(
    device: Device, signed: Path
) -> None:
    place = device.releases.path("1.0") / "release.json"
    about = json.loads(place.read_text()) | {"release_key": OURS.public.hex()}
    place.write_text(json.dumps(about))
    assert prepared(device.releases, signed, [], Path("x"), device.said.append) == "1.1"


def test_every_changed_byte_is_a_refusal_before_anything_is_unpacked(device: Device, signed: Path) -> None:
    whole = signed.read_bytes()
    for place in [0, 8, 70, 200, len(whole) // 2, len(whole) - 170, len(whole) - 90, len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 1
        signed.write_bytes(changed)
        with pytest.raises(UpdateError) as refused:
            device.take(signed)
        assert refused.value.code == "UPD-003"
        assert device.there() == AS_IT_WAS
        assert not any(line.startswith("unpacking") for line in device.said)


@pytest.mark.parametrize("kept", [0, 7, 60, 500, -1, -156, -157])
def test_a_file_that_was_not_copied_whole_is_refused(device: Device, signed: Path, kept: int) -> None:
    signed.write_bytes(signed.read_bytes()[:kept])
    with pytest.raises(UpdateError, match="not signed"):
        device.take(signed)
    assert device.there() == AS_IT_WAS


def test_without_any_key_nothing_is_taken(device: Device, signed: Path) -> None:
    with pytest.raises(UpdateError) as refused:
        prepared(device.releases, signed, [], Path("x"), device.said.append)
    assert refused.value.code == "UPD-004"


THROUGH_A_LINK = {"opt/vafa/package/d": b"->/tmp", "opt/vafa/package/d/x": b""}
FAR_THROUGH_A_LINK = {"opt/vafa/package/d": b"->/tmp", "opt/vafa/package/d/x/y": b""}


def odd(file: Path, form: int, size: int = 0, **said: str) -> Path:
    """A package with one member that tarfile itself stumbles over, or never gets past."""
    member = tarfile.TarInfo("./elsewhere")
    member.size, member.pax_headers = size, {name.replace("__", "."): value for name, value in said.items()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as tar:
        tar.addfile(member)
    control = archive(control=b"Package: vafa\nVersion: 1.1\nArchitecture: amd64\n")
    return deb(file, {"control.tar.xz": control, "data.tar": packed.getvalue()})


Made = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (lambda p: package(p, "1.0"), "UPD-008", "runs already"),
        (lambda p: package(p, "0.9~rc1"), "UPD-008", "older"),
        (lambda p: package(p, control={"Architecture": "arm64"}), "UPD-002", "for arm64"),
        (lambda p: package(p, control={"Package": "bash"}), "UPD-002", "'bash'"),
        (lambda p: package(p, control={"Version": "1.2"}), "UPD-002", "1.2 outside and 1.1 inside"),
        (lambda p: package(p, control={"Installed-Size": "99999999999"}), "UPD-005", "MB are needed"),
        (lambda p: package(p, schema=(7, 7)), "UPD-007", "could not go on"),
        (lambda p: package(p, test=FAILS), "UPD-005", "ledger: no room; nothing was changed"),
        (lambda p: package(p, test="#!/bin/sh\nexit 1\n"), "UPD-006", "said nothing"),
        (lambda p: package(p, more={"opt/vafa/package/../../x": b"x"}), "UPD-002", "nothing a release has"),
        (lambda p: package(p, more=THROUGH_A_LINK), "UPD-002", "link"),
        (lambda p: package(p, more=FAR_THROUGH_A_LINK), "UPD-002", "link"),
        (lambda p: package(p, control={"Version": "2/../../../x"}), "UPD-002", "is none"),
        (lambda p: odd(p, tarfile.GNU_FORMAT, size=-512), "UPD-002", "no possible size"),
        (lambda p: odd(p, tarfile.PAX_FORMAT, path="opt/vafa/package/a\0b"), "UPD-002", "null byte"),
        (lambda p: odd(p, tarfile.PAX_FORMAT, GNU__sparse__map="a,b"), "UPD-002", "invalid literal"),
        (lambda p: deb(p, {"debian-binary": b"2.0\n"}), "UPD-002", "no control.tar"),
        (lambda p: deb(p, {"control.tar.xz": b"x" * 40}), "UPD-002", "control.tar.xz"),
        (lambda p: deb(p, {"control.tar.xz": lzma.compress(b"x" * 40)}), "UPD-002", "control.tar.xz"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_its_reason_and_leaves_nothing(
    device: Device, tmp_path: Path, made: Made, code: str, words: str
) -> None:
    file = made(tmp_path / "new.deb")
    sign(file, OURS)
    with pytest.raises(UpdateError, match=words) as refused:
        device.take(file)
    assert refused.value.code == code
    assert refused.value.fix
    assert device.there() == AS_IT_WAS


def test_what_is_no_package_cannot_be_signed(tmp_path: Path) -> None:
    file = tmp_path / "x.deb"
    file.write_bytes(b"x" * 1000)
    with pytest.raises(UpdateError, match="no Debian package"):
        sign(file, OURS)
    assert file.read_bytes() == b"x" * 1000


def test_a_full_disk_is_told_before_anything_is_copied(
    device: Device, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_release, "MARGIN_BYTES", shutil.disk_usage("/").total * 1_000)
    with pytest.raises(UpdateError, match="MB are needed") as refused:
        device.take(signed)
    assert refused.value.code == "UPD-005"
    assert device.there() == AS_IT_WAS


def test_older_releases_go_to_make_room_but_not_one_that_a_process_runs_from(
    device: Device, signed: Path
) -> None:
    for version in ("0.7", "0.8"):
        (device.releases.path(version) / "bin").mkdir(parents=True)
    relay = device.releases.path("0.8") / "bin/python"
    shutil.copy("/bin/sleep", relay)
    with subprocess.Popen([relay, "60"]) as process:
        try:
            device.take(signed)
        finally:
            process.kill()
    assert device.there() == [*AS_IT_WAS[:3], "0.8", "0.9", "1.0", "1.1"]


CUT = """
import sys
from pathlib import Path
from vafa.app.new_release import prepared
from vafa.app.releases import Releases, Trial
from vafa.app.updating import ask_for
there = Releases(Path(sys.argv[1]))
version = prepared(there, Path(sys.argv[2]), [sys.argv[3]], Path("x"), lambda words: None)
ask_for(there, Trial(version, "1.0", "0.9"))
"""
CHANGING = ("rename", "unlink", "rmdir", "mkdir", "symlink", "fsync", "chmod", "ftruncate", "sync")


@pytest.mark.parametrize("call", CHANGING)
def test_an_update_killed_at_any_of_its_changes_leaves_what_runs_and_can_be_done_again(
    tmp_path: Path, signed: Path, call: str
) -> None:
    if shutil.which("strace") is None:
        assert os.environ.get("CI") != "true", "strace is missing"
        pytest.skip("strace is missing: nothing to kill it with")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    step, killed = 0, True
    while killed:
        step += 1
        root = tmp_path / f"opt{step}"
        root.mkdir()
        device = Device(root)
        (root / "releases" / ".part").mkdir()  # of an update that was cut off before
        (root / "releases" / ".part" / "old").touch()
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={step}"]
        ran = subprocess.run(
            ["strace", "-qq", "-o", "/dev/null", *inject, sys.executable, "-B", "-c", CUT, root, signed,
             OURS.public.hex()], check=False, env=environment,
        )  # fmt: skip
        killed = ran.returncode != 0
        assert device.releases.about(device.releases.link("current")).version == "1.0"
        if device.releases.trial() is not None:
            assert device.releases.about("1.1").version == "1.1"
            assert (device.releases.path("1.1") / "lib/python3.11/x.py").read_text() == "x = 1\n"
        elif killed:
            assert device.take(signed) == "1.1"
            assert [name for name in device.there() if not name.endswith(".new")] == [*AS_IT_WAS, "1.1"]
        else:
            raise AssertionError("it was not killed, and nothing was asked for")
