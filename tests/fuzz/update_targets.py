"""The file that is given to `vafa update`: a Debian package with its maker's signature behind it.

What is not signed must end at the signature. What is (a maker's own mistake, a stolen key) may still only
write inside the release's own folder, end soon, and be refused in words.
"""

import gzip
import io
import lzma
import re
import shutil
import tarfile
from collections.abc import Mapping
from hashlib import blake2b
from random import Random

from fuzz.judging import same
from fuzz.target import Housed

from vafa.app import new_release
from vafa.app.deb_file import DebFile
from vafa.app.releases import About, Releases, UpdateError
from vafa.keys import release as signing
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey

INSIDE = "./opt/vafa/package"
_KEY = SigningKey(DeviceKey(b"1" * 32))
_BLOCK_BYTES, _CHECK_AT = 512, slice(148, 156)
_RUNNING = About("1.0", "amd64", 6, 6)
_CONTROL = b"Package: vafa\nVersion: 1.1\nArchitecture: amd64\nInstalled-Size: 100\n"
_ABOUT = b'{"version":"1.1","arch":"amd64","ledger_writes":6,"ledger_readable_since":6}'


class UpdateFile(Housed):
    """Signature, archive, control file, the release unpacked and its own words, as `prepared` reads them."""

    name = "update"
    what = "a signed package, up to the release being unpacked"
    share = 4
    bytes_max = 60_000
    cpu_s_max = 3.0

    def __init__(self) -> None:
        super().__init__()
        self.releases = Releases(self.directory / "vafa")
        self.place = self.releases.path("1.1")
        self.place.parent.mkdir(parents=True)
        self.given = self.directory / "given.deb"
        files = {
            "release.json": _ABOUT, "bin/python": b"#!/bin/sh\n", "bin/python3": b"->python",
            "lib": b"->../../..", "lib/a/b/c": b"x = 1\n", "x/y/z": b"deep",
        }  # fmt: skip
        plain = {"release.json": _ABOUT, "bin/python": b"#!/bin/sh\n", "bin/python3": b"->python"}
        made = [
            _deb("tar", plain), _deb("tar", files), _deb("tar", plain, tarfile.PAX_FORMAT),
            _deb("tar.gz", plain), _deb("tar.xz", plain),
        ]  # fmt: skip
        self.seeds = [_signed(each) for each in made]
        self.words = (
            b"ustar", b"../", b"/", b"\0", b"release.json", b"Version: ", b"Installed-Size: ", b"data.tar",
            b"control.tar", b"\x80" + bytes(7), b"\xff" * 12, b"0000644\0", b"77777777777", b"path=",
            b"size=", b"`\n", b"2", b"5", b"x", b"L", b"S", b"GNU.sparse.map=", b"12 size=9\n",
            b"_vafa-signature/",
        )  # fmt: skip

    def sealed(self, data: bytes, random: Random) -> bytes:
        """Each tar header's sum made good, often an archive's sizes too, and signed by the right key."""
        whole = bytearray(data[: -signing.TRAILER_BYTES] or data)
        for at in (match.start() - 257 for match in re.finditer(b"ustar", whole)):
            block = whole[at : at + _BLOCK_BYTES]
            if at >= 0 and len(block) == _BLOCK_BYTES:
                block[_CHECK_AT] = b" " * 8
                whole[at + 148 : at + 156] = b"%06o\0 " % sum(block)
        return _signed(bytes(whole))

    def judge(self, data: bytes, random: Random) -> str:
        self.given.write_bytes(data)
        try:
            with self.given.open("rb") as file:
                new_release._checked_signature(file, {_KEY.public.hex()})
                same(_signed(data[: -signing.TRAILER_BYTES]), data, "what counts as signed")
                return self._unpacked(DebFile(file))
        except UpdateError as error:
            return f"refused {error.code}"
        except OSError:
            return "refused by the disk"  # `prepared` says which file and why
        finally:
            shutil.rmtree(self.place, ignore_errors=True)
            self._judge_places()

    def _unpacked(self, deb: DebFile) -> str:
        facts = deb.facts()
        new_release._checked_facts(facts, _RUNNING)
        same(self.releases.path(facts.version).parent, self.place.parent, "where the release goes")
        deb.unpack(self.place, lambda _files: None)
        self._judge_places()
        self.releases.about("1.1")
        return "release"

    def _judge_places(self) -> None:
        """Nothing lies outside the release's folder."""
        there = {path.name for path in (*self.directory.iterdir(), *self.place.parent.iterdir())}
        assert there <= {"vafa", "given.deb", "1.1"}, f"written outside: {sorted(there)}"
        assert self.given.is_file()


def _signed(package: bytes) -> bytes:
    return package + signing.trailer(_KEY, blake2b(package).digest(), len(package))


def _deb(kind: str, files: Mapping[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    made = b"!<arch>\n"
    named = {f"{INSIDE}/{name}": content for name, content in files.items()}
    for name, content in (
        ("debian-binary", b"2.0\n"),
        (f"control.{kind}", _archive({"./control": _CONTROL}, kind, form)),
        (f"data.{kind}", _archive({"./usr/lib/vafa/releases": b"never taken", **named}, kind, form)),
    ):
        header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(content))
        made += header + content + b"\n" * (len(content) % 2)
    return made


def _archive(files: Mapping[str, bytes], kind: str, form: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if form == tarfile.PAX_FORMAT:
                member.pax_headers = {"comment": "so that there is one"}
            if content.startswith(b"->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:].decode()
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    match kind:
        case "tar.gz":
            return gzip.compress(packed.getvalue(), mtime=0)
        case "tar.xz":
            return lzma.compress(packed.getvalue(), preset=0)
        case _:
            return packed.getvalue()
