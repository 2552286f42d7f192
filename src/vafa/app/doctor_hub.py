"""`vafa doctor`, the hub: does it answer, with a good certificate, and does it take what we send?

Connects as the sync process does: the same authorities, by the link that is up. Nothing of the shop is sent.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from vafa.app.doctor_link import addresses_of, enrolment_of, links_toward, name_and_port
from vafa.app.findings import Finding, Patient
from vafa.keys.certificates import validity
from vafa.keys.sign import fingerprint
from vafa.model.errors import KeyFileError, SyncError
from vafa.sync import tls
from vafa.sync.enrol import settle_keys
from vafa.sync.enrolment import Enrolment, EnrolmentFault, load
from vafa.sync.link_watch import LinkWatchError

TLS, HUB = "tls", "hub"
CONNECT_S, ANSWER_S = 8.0, 10.0
RENEW_DAYS = 14
_DAY_MS = 86_400_000


def look_at_tls(patient: Patient) -> Iterator[Finding]:
    """The hub's certificate, and until when it holds."""
    enrolled = enrolment_of(patient)
    if enrolled is None:
        yield Finding("ok", TLS, "no enrolment to look at: see hub")
        return
    host, _ = name_and_port(enrolled)
    try:
        with _connected(patient, enrolled) as line:
            chain = tls.chain_of(line)
    except ssl.SSLCertVerificationError as error:
        yield _refused(error, host)
        return
    except (OSError, SyncError) as error:
        yield Finding(
            "warn", TLS, f"no secure connection to {enrolled.host}: {_words(error)}",
            "what does not connect says nothing of its certificate", "see link and hub", "SYN-006",
        )  # fmt: skip
        return
    own, ends_ms = validity(chain[0]), min(validity(each).ends_ms for each in chain)
    days = (ends_ms - patient.now_ms) // _DAY_MS
    if days < RENEW_DAYS:
        yield Finding(
            "warn", TLS, f"the hub's certificate ends in {days} days ({own.subject})",
            "nobody has renewed it yet", "tell the hub's operator", "SYN-021",
        )  # fmt: skip
        return
    by = "the authority that was named" if enrolled.ca else "an authority the system trusts"
    yield Finding("ok", TLS, f"{own.subject}, good for {days} days, signed by {by}")


def look(patient: Patient) -> Iterator[Finding]:
    """Our keys, and the hub's word of itself; how the syncs went `status` says under this name too."""
    try:
        enrolled = load(patient.config.ledger_directory)
        if enrolled is not None:
            settle_keys(patient.config.ledger_directory, enrolled)
    except (EnrolmentFault, KeyFileError) as error:
        yield Finding("warn", HUB, f"cannot be looked at: {error}", "", error.fix, error.code)
        return
    if enrolled is None:
        yield Finding("ok", HUB, "not enrolled; to join one: vafa enrol CODE --hub URL")
        return
    try:
        status, said = _asked(patient, enrolled)
    except (OSError, SyncError, http.client.HTTPException) as error:
        yield Finding(
            "warn", HUB, f"{enrolled.host} does not answer: {_words(error)}",
            "points are kept on this device and sent when it does",
            "see link and tls; else ask who runs the hub", "SYN-006",
        )  # fmt: skip
        return
    pinned = fingerprint(enrolled.hub_public_key)
    if status != 200:
        yield Finding(
            "warn", HUB, f"{enrolled.host} answers and is not ready: {said[:80]}",
            "its database is away, or something answers for it", "ask who runs the hub", "SYN-010",
        )  # fmt: skip
        return
    yield Finding("ok", HUB, f"{enrolled.host} is ready; we are device {enrolled.device}, its key {pinned}")


def _connected(patient: Patient, enrolled: Enrolment) -> ssl.SSLSocket:
    """A checked connection, by the link that is up where the route leads into nothing."""
    host, port = name_and_port(enrolled)
    ca = str(patient.config.ledger_directory / enrolled.ca) if enrolled.ca else ""
    if ca and not Path(ca).exists():
        raise SyncError(f"{ca} is gone", fix="enrol again with --ca FILE")
    context = tls.context(ca, trusts_clock=True)
    addresses = addresses_of(enrolled)
    if not addresses:
        raise SyncError(f"the name {host} is not found")
    try:
        interface = links_toward(patient, addresses).detour
    except LinkWatchError:
        interface = ""
    failed: OSError = OSError("no address")
    for address in addresses:
        plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            if interface:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            plain.settimeout(CONNECT_S)
            plain.connect((address, port))
            return context.wrap_socket(plain, server_hostname=host)
        except ssl.SSLCertVerificationError:
            plain.close()
            raise
        except OSError as error:
            plain.close()
            failed = error
    raise failed


def _asked(patient: Patient, enrolled: Enrolment) -> tuple[int, str]:
    """(HTTP status, the first line) of the hub's readiness page."""
    with _connected(patient, enrolled) as line:
        line.settimeout(ANSWER_S)
        asked = http.client.HTTPConnection(enrolled.host)
        asked.sock = line
        asked.request("GET", "/readyz")
        answer = asked.getresponse()
        return answer.status, answer.read(2_000).decode("utf-8", "replace").partition("\n")[0]


def _refused(error: ssl.SSLCertVerificationError, host: str) -> Finding:
    """Why a certificate is refused: mostly a wrong clock here, or something in between."""
    fault = tls.not_verified(error, host)
    dated = "expired" in error.verify_message or "not yet valid" in error.verify_message
    why = "this device's clock may be wrong: see clock" if dated else "something may stand in between"
    return Finding("warn", TLS, str(fault), why, fault.fix, fault.code)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)
