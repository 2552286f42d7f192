"""Keeps OpenSSL out of processes that only hash.

hashlib takes its functions from OpenSSL wherever it finds it, and loading that costs 3.4 MB for as long as
the process lives. The daemon needs BLAKE2b, which is Python's own anyway, and SHA-256 of some twenty bytes,
for which Python has its own too (the one every build without OpenSSL uses). Whoever imports ssl or
cryptography later gets OpenSSL as ever.
"""

import sys
from importlib import import_module

# What hashlib falls back on; SHA-2 is two modules up to Python 3.11, one since.
_OWN = (
    "_blake2",
    "_md5",
    "_sha1",
    "_sha3",
    *(("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")),
)
_OPENSSL = "_hashlib"


def hash_without_openssl() -> None:
    """Load hashlib and hmac on Python's own functions. Changes nothing where they are loaded already, or
    where this Python was built without functions of its own."""
    if "hashlib" in sys.modules or _OPENSSL in sys.modules:
        return
    try:
        for name in _OWN:
            import_module(name)
    except ImportError:
        return
    sys.modules[_OPENSSL] = None  # type: ignore[assignment]  # an import of it fails (language reference §5.3.1)
    try:
        import_module("hashlib")
        import_module("hmac")
    finally:
        del sys.modules[_OPENSSL]
