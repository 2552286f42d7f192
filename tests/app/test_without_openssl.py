"""OpenSSL kept out, each time in a process of its own: it is about what a process has loaded."""

import os
import subprocess
import sys

import pytest

_KEPT_OUT = """
import sys
from vafa.app.without_openssl import hash_without_openssl
hash_without_openssl()
"""
_EVIDENCE = """
import hmac
from hashlib import blake2b, sha256
from vafa.keys.device_key import DeviceKey
from vafa.keys.tokens import Tokens
tokens = Tokens(DeviceKey(b"k" * 32))
print(tokens.member_id("+989121236789").hex(), sha256(b"v" * 200).hexdigest(), blake2b(b"v").hexdigest(),
    hmac.new(b"k" * 80, b"v", "sha256").hexdigest(), hmac.digest(b"k", b"v", sha256).hex())
"""


def _said(program: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, env=environment
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


def test_what_is_hashed_is_the_same_without_openssl() -> None:
    assert _said(_KEPT_OUT + _EVIDENCE) == _said(_EVIDENCE)


def test_the_daemon_loads_no_openssl() -> None:
    program = """
import builtins
from vafa.cli import serve
from pathlib import Path
from vafa.model.errors import ConfigError
try:
    serve.serve(Path("/nonexistent"))
except ConfigError:
    pass
import vafa.app.daemon, vafa.app.jobs
print("_hashlib" in sys.modules, "hashlib" in sys.modules, "libcrypto" in Path("/proc/self/maps").read_text())
"""
    assert _said("import sys\n" + program) == "False True False"


@pytest.mark.parametrize("module", ["ssl", "_hashlib", "cryptography.hazmat.primitives.ciphers.aead"])
def test_who_imports_openssl_later_gets_it(module: str) -> None:
    assert _said(_KEPT_OUT + f"import {module}\nprint({module}.__name__)") == module


def test_where_it_is_loaded_already_nothing_changes() -> None:
    program = "import hashlib, _hashlib" + _KEPT_OUT + "print(hashlib.sha256 is _hashlib.openssl_sha256)"
    assert _said(program) == "True"


def test_a_python_without_functions_of_its_own_hashes_by_openssl() -> None:
    program = "import sys\nsys.modules['_sha3'] = None" + _KEPT_OUT + "import hashlib\n"
    assert _said(program + "print(hashlib.sha256.__module__)") == "_hashlib"
