"""`vafa hub run`: serve devices until SIGTERM."""

import gc
from pathlib import Path

import click

from vafa.app.logs import set_up
from vafa.cli.asking import now_ms
from vafa.cli.hub_options import hub_options
from vafa.hub.hub_key import HubKey, key_path
from vafa.hub.installation import made_state, opened
from vafa.hub.serving import Listening, bound, parse_listen, serve
from vafa.hub.web import application
from vafa.model.errors import HubError
from vafa.ports import notify

LISTEN = "127.0.0.1:8443"
_file = click.Path(path_type=Path, dir_okay=False)


@click.command("run")
@hub_options
@click.option(
    "--listen", default=LISTEN, show_default=True, envvar="VAFA_HUB_LISTEN", help="HOST:PORT to listen on."
)
@click.option("--tls-cert", type=_file, envvar="VAFA_HUB_TLS_CERT", help="Certificate chain, PEM.")
@click.option("--tls-key", type=_file, envvar="VAFA_HUB_TLS_KEY", help="Its private key, PEM.")
def command(dsn: str, state: Path, listen: str, tls_cert: Path | None, tls_key: Path | None) -> None:
    """Serve devices: sync and enrolment.

    Without --tls-cert it speaks plain HTTP: for loopback, behind a proxy that ends TLS. Devices take nothing
    but HTTPS. SIGTERM ends requests under way, then stops.
    """
    set_up("auto", "info")
    if (tls_cert is None) != (tls_key is None):
        raise HubError("--tls-cert and --tls-key go together", fix="name both or none", code="HUB-005")
    host, port = parse_listen(listen)
    where = Listening(host, port, tls_cert, tls_key)
    made_state(state)
    key = HubKey(key_path(state))
    with opened(dsn, state) as database, bound(where) as listener:
        address = listener.getsockname()
        scheme = "https" if tls_cert else "http"
        said = f"serving on {scheme}://{address[0]}:{address[1]}, key {key.fingerprint}"

        def ready() -> None:
            click.echo(f"vafa hub: {said}", err=True)
            notify.ready(said)

        # Requests make many short-lived objects beside a large heap of modules: look at that heap no more.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        serve(application(database, key, now_ms), where, listener, ready)
        notify.stopping()
