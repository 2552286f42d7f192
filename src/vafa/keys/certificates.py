"""When a certificate holds: for a device that cannot judge it by its own clock."""

import msgspec


class Validity(msgspec.Struct, frozen=True):
    """UTC milliseconds, and the subject as people read it."""

    begins_ms: int
    ends_ms: int
    subject: str


def validity(der: bytes) -> Validity:
    """Of one X.509 certificate in DER. ValueError when it is none."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Validity(
        int(begins.timestamp() * 1000),
        int(ends.timestamp() * 1000),
        certificate.subject.rfc4514_string() or "a certificate without a name",
    )
