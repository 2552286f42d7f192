"""`vafa doctor`, the local protocol: where payment applications can come in now.

What cannot be listened on ends the daemon's start, and a cable that is out stands under `serial`; what is
left to find is a secret that those who come over TCP cannot read.
"""

from collections.abc import Iterator

from vafa.app.findings import Finding, Patient
from vafa.app.introduction import FILE_CODE

NAME = "local"


def look(patient: Patient) -> Iterator[Finding]:
    """One finding a line that is open. That the daemon is down its own check says."""
    lines = patient.status.local if patient.status is not None else ()
    if not lines:
        yield Finding("ok", NAME, "the running daemon would tell who can come in")
    for line in lines:
        if line.kind == "tcp" and not patient.config.local_secret.exists():
            yield Finding(
                "warn", NAME, f"{line.address} listens, but the secret to come in with is gone",
                f"{patient.config.local_secret} was removed since the start", "sudo systemctl restart vafa",
                FILE_CODE,
            )  # fmt: skip
        elif line.state != "closed":
            clients = f", {line.clients} connected" if line.kind != "serial" else ""
            yield Finding("ok", NAME, f"{line.address} {line.state}{clients}")
