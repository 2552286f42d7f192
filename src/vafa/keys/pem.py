"""Certificates out of a PEM text: these and nothing else, so that what is pasted is never kept as it came."""

import re
from base64 import b64decode, b64encode
from binascii import Error
from textwrap import wrap

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_SEQUENCE = 0x30  # what each X.509 certificate is, in DER


def certificates(text: str) -> bytes:
    """The certificates in `text`, written anew; b'' when it holds none. What they say is judged later."""
    found = []
    for block in _BLOCK.findall(text):
        try:
            der = b64decode("".join(block.split()), validate=True)
        except Error:
            return b""
        if not _is_one_sequence(der):
            return b""
        lines = "\n".join(wrap(b64encode(der).decode(), 64))
        found.append(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    return "".join(found).encode()


def _is_one_sequence(der: bytes) -> bool:
    """A DER sequence that is as long as it says."""
    if len(der) < 4 or der[0] != _SEQUENCE:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    size = der[1] & 0x7F
    return 1 <= size <= 3 and len(der) == 2 + size + int.from_bytes(der[2 : 2 + size])
