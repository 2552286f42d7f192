"""The TLS side: certificates are always checked, also on a device that believes it is 1970.

A device whose clock nobody has attested cannot judge a certificate's dates. It checks everything else in the
handshake as always: the chain up to a trusted authority, the name, the signatures. Then it believes nothing
before the pinned hub key has signed an answer for its nonce; that answer tells the hub's time, and by that
time the dates of the whole chain are checked. There is no way here to a connection that checks less.
"""

import ssl
from pathlib import Path
from typing import Any

from vafa.keys.certificates import validity
from vafa.model.errors import SyncError
from vafa.sync.lean_httpx import lean_httpx

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h): dates are left to `check_dates`, all else is checked.
_NO_CHECK_TIME = 0x200000
_DER = 2  # ENCODING_DER of the ssl module's certificates


class CertificateFault(SyncError):
    """The hub's certificate is not good."""

    code = "SYN-005"


def context(ca_file: str, *, trusts_clock: bool) -> ssl.SSLContext:
    """Checks chain and name always; dates by the own clock, or later with `check_dates` where it is not
    trusted.

    ca_file  PEM certificates of the authorities to trust and no others; '' for the system's and Mozilla's
    """
    try:
        if ca_file:
            made = ssl.SSLContext(
                ssl.PROTOCOL_TLS_CLIENT
            )  # CERT_REQUIRED and check_hostname are its defaults
            made.load_verify_locations(ca_file)
        elif _system_has_authorities():
            made = ssl.create_default_context()
        else:
            made = lean_httpx().create_ssl_context(
                trust_env=False
            )  # Mozilla's list: minimal systems have none
        made.minimum_version = ssl.TLSVersion.TLSv1_2
    except (OSError, ssl.SSLError) as error:
        raise CertificateFault(
            f"the certificates in {ca_file or 'the system'} cannot be read ({error})",
            fix="is it a PEM file of the authority that signed the hub's certificate?",
        ) from error
    if not trusts_clock:
        made.verify_flags |= _NO_CHECK_TIME
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    return made


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    found = Path(paths.capath).glob("*.0") if paths.capath else iter(())
    return paths.cafile is not None or next(found, None) is not None


def chain_of(line: Any) -> list[bytes]:
    """The verified certificates of a connection, DER, the hub's own first and the trusted authority last."""
    if not isinstance(line, ssl.SSLSocket):
        raise CertificateFault("the connection to the hub is not a secure one", fix="report this")
    # The method is public from Python 3.13 on.
    told_by: Any = line if hasattr(line, "get_verified_chain") else vars(line)["_sslobj"]
    found = told_by.get_verified_chain() or ()
    return [each if isinstance(each, bytes) else each.public_bytes(_DER) for each in found]


def check_dates(chain: list[bytes], at_ms: int) -> None:
    """CertificateFault unless every certificate of the chain is valid at this UTC time in milliseconds."""
    if not chain:
        raise CertificateFault("the hub's certificate chain is not there to be checked", fix="report this")
    for der in chain:
        holds = validity(der)
        if not holds.begins_ms <= at_ms <= holds.ends_ms:
            what = "is not valid yet" if at_ms < holds.begins_ms else "has expired"
            raise CertificateFault(
                f"the hub's certificate ({holds.subject}) {what} by the hub's own time",
                fix="the hub's operator must renew it",
            )


def not_verified(error: ssl.SSLCertVerificationError, host: str) -> CertificateFault:
    """What a refused certificate means for people."""
    return CertificateFault(
        f"the certificate of {host} is not good: {error.verify_message}",
        fix="a hub with its own authority: enrol with --ca FILE; else is something between here and it?",
    )
