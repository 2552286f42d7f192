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


def for_trials(address: str) -> tuple[bytes, bytes]:
    """(private key, certificate), PEM, good for a day at the IP `address`; it is its own authority."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    where = x509.IPAddress(ipaddress.ip_address(address))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a hub on trial")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([where]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, made.public_bytes(serialization.Encoding.PEM)
