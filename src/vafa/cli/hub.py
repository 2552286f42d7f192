"""`vafa hub`: the cloud side of Vafa. Each part is loaded when it is asked for."""

import importlib

import click

# part -> what `vafa hub --help` says of it; the module is vafa.cli.hub_<part>, its click command `command`
PARTS = {
    "run": "Serve devices: sync and enrolment.",
    "fleet": "Every device at a glance: what is wrong, and what to do?",
    "merchant": "Add, list, rename, close merchants.",
    "code": "Make, list, revoke one-time codes for enrolment.",
    "device": "List, show, revoke devices; accept a fork.",
    "programme": "Publish the club's rules to a merchant's devices.",
    "message": "Lines for receipts: add, list, cancel.",
    "member": "A merchant's members over all its devices.",
    "backup": "Dump the database; tell devices what is safe.",
    "restore": "Put a dump back in place of what is there.",
    "recover": "Open the keys of a device's backup.",
    "key": "The hub's public key and its fingerprint.",
}


class Parts(click.Group):
    """Loads a part's module only when it is asked for: most need PostgreSQL's client, help does not."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return None
        try:
            command: click.Command = importlib.import_module(f"vafa.cli.hub_{cmd_name}").command
        except ImportError as error:
            from vafa.model.errors import HubError

            raise HubError(
                f"the hub's packages are not installed ({error.name})",
                fix="pip install 'vafa[hub]', in the virtual environment of this vafa",
                code="HUB-002",
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(PARTS.items()))


@click.group("hub", cls=Parts)
def command() -> None:
    """The cloud side: run it, look after it, see the fleet.

    Every part finds its database by --dsn (or VAFA_HUB_DSN), else the embedded one in --state (or
    VAFA_HUB_STATE). docs/hub.md tells how to install, back up and restore a hub.
    """
