"""A new release out of a signed package, put beside the one that runs, and tried there.

Nothing that runs is touched: what goes wrong, or is cut off, leaves files that the next update clears away.
The order is: a copy of our own (the stick may be pulled, the file may change), its signature, then all else.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from vafa.app.deb_file import DebFile, Facts, not_a_package
from vafa.app.releases import FORMAT, About, Releases, UpdateError, checked_way_back
from vafa.app.selftest import Look
from vafa.keys import release as signing
from vafa.keys.sign import fingerprint
from vafa.ledger.storage import flush

if TYPE_CHECKING:
    from vafa.keys.sign import SigningKey

PACKAGE = ACCOUNT = "vafa"
PART, INCOMING = ".part", ".incoming"
REPORT = "report it with these lines; the release that runs goes on"
MARGIN_BYTES = 16 << 20  # what the shop writes meanwhile
SELF_TEST_WITHIN_S = 900.0  # a copy of a ledger of gigabytes on slow flash
_CHUNK = 1 << 20

Said = Callable[[str], None]


def prepared(there: Releases, file: Path, keys: Sequence[str], config_path: Path, say: Said) -> str:
    """The release in `file`, signed by one of `keys` or by the running release's, beside it and tried.

    Its version. UpdateError says what speaks against it, and that nothing was changed.
    """
    current = there.about(there.link("current"))
    incoming = there.root / INCOMING
    try:
        with _copied(file, incoming, say) as copy:
            _checked_signature(copy, {*keys, *filter(None, [current.release_key])})
            deb = DebFile(copy)
            facts = deb.facts()
            _checked_facts(facts, current)
            _make_room(there, facts)
            say(f"unpacking {facts.version} ...")
            _unpacked(there, deb, facts, say)
    except OSError as error:
        raise UpdateError(f"{error.filename or there.root}: {error.strerror}", fix="df -h; mount") from error
    finally:
        incoming.unlink(missing_ok=True)
        shutil.rmtree(there.root / "releases" / PART, ignore_errors=True)
    try:
        _checked_about(there.about(facts.version), facts)
        checked_way_back(there, facts.version)
        _tried(there.path(facts.version), config_path, say)
    except UpdateError:
        shutil.rmtree(there.path(facts.version), ignore_errors=True)
        raise
    return facts.version


def sign(file: Path, key: "SigningKey") -> None:
    """Put a signature behind a package, or another one in the place of the one it has."""
    draft = file.with_name(f"{file.name}.part")
    shutil.copyfile(file, draft)
    with draft.open("r+b") as copy:
        size = _signed_size(copy)
        DebFile(copy)
        copy.truncate(size)
        copy.seek(size)
        copy.write(signing.trailer(key, _digest(copy, size), size))
        os.fsync(copy.fileno())
    draft.rename(file)


@contextlib.contextmanager
def _copied(file: Path, incoming: Path, say: Said) -> Iterator[BinaryIO]:
    with file.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        _checked_space(incoming.parent, size)
        say(f"reading {size >> 20} MB ...")
        incoming.unlink(missing_ok=True)
        with incoming.open("x+b") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
            copy.flush()
            yield copy


def _checked_signature(copy: BinaryIO, keys: set[str]) -> None:
    if not keys:
        raise UpdateError(
            "no key is known whose releases this device takes",
            fix="name one under [update] keys in config.toml (docs/updating.md), or install it with apt",
            code="UPD-004",
        )
    size = _signed_size(copy)
    copy.seek(size)
    signature = signing.parsed(copy.read())
    if signature is None:
        raise UpdateError(
            "the package is not signed",
            fix="get it from where your releases come from, whole",
            code="UPD-003",
        )
    if not signing.is_by_its_key(signature, _digest(copy, size), size):
        raise UpdateError(
            "the package was changed after it was signed", fix="copy it again; never install it otherwise",
            code="UPD-003",
        )  # fmt: skip
    if signature.public_key.hex() not in keys:
        raise UpdateError(
            f"the package is signed by a key this device does not know ({fingerprint(signature.public_key)})",
            fix="is it a release for this fleet? Its key belongs under [update] keys", code="UPD-003",
        )  # fmt: skip


def _signed_size(copy: BinaryIO) -> int:
    """How much of the file a signature is about: all of it but the signature's own member."""
    size = copy.seek(0, os.SEEK_END)
    if size < signing.TRAILER_BYTES:
        return size
    copy.seek(size - signing.TRAILER_BYTES)
    return size - signing.TRAILER_BYTES if signing.parsed(copy.read()) else size


def _digest(copy: BinaryIO, size: int) -> bytes:
    seen = hashlib.blake2b()
    copy.seek(0)
    while size > 0:
        chunk = copy.read(min(_CHUNK, size))
        if not chunk:
            raise not_a_package("it ended early")
        seen.update(chunk)
        size -= len(chunk)
    return seen.digest()


def _checked_facts(facts: Facts, current: About) -> None:
    if facts.name != PACKAGE:
        raise not_a_package(f"it is the package {facts.name!r}")
    if facts.arch != current.arch:
        raise not_a_package(f"it is for {facts.arch}, this device is {current.arch}")
    if facts.version == current.version:
        raise UpdateError(f"release {facts.version} runs already", fix="vafa update status", code="UPD-008")
    compared = ["dpkg", "--compare-versions", facts.version, "gt", current.version]
    if subprocess.run(compared, check=False).returncode != 0:
        raise UpdateError(
            f"release {facts.version} is older than {current.version}, which runs",
            fix="the one before comes back with: vafa update rollback", code="UPD-008",
        )  # fmt: skip


def _checked_about(about: About, facts: Facts) -> None:
    if about.format > FORMAT:
        raise UpdateError(
            f"release {facts.version} needs a newer way of changing releases than is installed",
            fix=f"sudo apt install ./vafa_{facts.version}_{facts.arch}.deb", code="UPD-009",
        )  # fmt: skip
    if about.version != facts.version:
        raise not_a_package(f"it says {facts.version} outside and {about.version} inside")


def _make_room(there: Releases, facts: Facts) -> None:
    """What neither runs nor is kept goes first; then the disk must have room for the release."""
    for path in (there.root / "releases").iterdir():
        kept = path.name in (there.link("current"), there.link("previous"))
        if not kept and not in_use(path):
            shutil.rmtree(path)
    _checked_space(there.root, facts.installed_bytes)


def in_use(release: Path) -> bool:
    """Whether a process runs from it: the relay is restarted by people alone, and may be older than both."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if process.read_bytes().startswith(f"{release}/".encode()):
                return True
    return False


def _checked_space(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if free < needed + MARGIN_BYTES:
        raise UpdateError(
            f"{needed + MARGIN_BYTES >> 20:,} MB are needed on the disk of {place}, {free >> 20:,} are free",
            fix="free disk space", code="UPD-005",
        )  # fmt: skip


def _unpacked(there: Releases, deb: DebFile, facts: Facts, say: Said) -> None:
    """At its place whole, durable, or not at all."""
    part = there.root / "releases" / PART
    shutil.rmtree(part, ignore_errors=True)
    deb.unpack(part, lambda files: say(f"unpacking {facts.version} ... {files:,} files"))
    os.sync()
    target = there.path(facts.version)
    if target.exists():  # in use by a relay, of the same name: it was rolled back before
        raise UpdateError(
            f"a process still runs from {target}", fix="sudo systemctl restart vafa-relay, in a quiet moment",
            code="UPD-010",
        )  # fmt: skip
    part.rename(target)
    flush(target.parent)


def _tried(release: Path, config_path: Path, say: Said) -> None:
    """The release's own self-test, by its own Python, as the service's user. UpdateError: what it found."""
    program = [str(release / "bin/python"), "-P", "-m", "vafa.app.selftest"]
    command = [*_as_service(), *program, "--config", str(config_path)]
    last = Look("start", ok=False, words="it said nothing", code="UPD-006")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/") as test:
        assert test.stdout is not None
        for line in test.stdout:
            with contextlib.suppress(msgspec.DecodeError):  # a library's own word
                last = msgspec.json.decode(line, type=Look)
                say(f"  {last.name}: {last.words}")
        code = test.wait(SELF_TEST_WITHIN_S)
    if code != 0 or not last.ok:
        said = f"the self-test of {release.name} fails here: {last.name}: {last.words}"
        raise UpdateError(f"{said}; nothing was changed", fix=last.fix or REPORT, code=last.code or "UPD-006")


def _as_service() -> list[str]:
    """What goes before a command of the service's account; nothing where that cannot be."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        return []
    return ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"] if os.geteuid() == 0 else []
