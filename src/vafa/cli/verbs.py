"""Every verb of the `vafa` command, and the click group that loads a verb's module when it is used."""

import importlib
from typing import TYPE_CHECKING

import click

from vafa import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# verb -> what `vafa --help` says of it; the module is vafa.cli.<verb>, its click command `command`
VERBS = {
    "run": "Run the daemon.",
    "relay": "Forward cash registers' lines for mode proxy.",
    "status": "Is it working, and if not, what do I do?",
    "doctor": "Look at everything a sale needs; say what to do.",
    "why": "One sale as a time line, from the wire to the paper.",
    "explain": "The arithmetic behind a sale's points.",
    "terminal": "Find terminals on the network.",
    "sell": "Ask the terminal for a payment.",
    "record": "Enter a sale that nobody heard.",
    "gap": "List and close gaps: sales that may be missing.",
    "member": "Add, show, find and bind members.",
    "claim": "Give points waiting on a claim code to a member.",
    "redeem": "Points for rewards: quote, hold, capture, release.",
    "offer": "Give, list, show and withdraw single-use offers.",
    "void": "Take back the points of a sale voided at the terminal.",
    "refund": "Take back the points of money that went back.",
    "adjust": "Give or take points by hand, with a reason.",
    "receipt": "Show what the paper says.",
    "programme": "Check, show, compare, try and activate the club's rules.",
    "report": "What the club owes: points outstanding and their worth.",
    "sync": "Send what waits to the hub now; where the sync stands; the last ones.",
    "enrol": "Join a hub, or change this device's keys.",
    "backup": "Ledger and sealed keys in one file.",
    "restore": "A ledger and its keys out of a backup.",
    "update": "Take a new release; which one runs, which is on trial; the way back.",
    "journal": "The ledger's events as JSON lines.",
    "verify": "Recompute the ledger from its journal and compare.",
    "decode": "Say what captured bytes mean.",
    "hub": "The cloud side: run it, look after it, see the fleet.",
    "simulate": "A pretend terminal for demos, training and tests.",
    "demo": "A shop's morning on a simulated terminal, with a power cut.",
    "bench": "Measure this device against the numbers to reach.",
}


class Verbs(click.Group):
    """Loads a verb's module only when it is asked for, so that `vafa status` answers fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"vafa.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The verbs by name: click would load every verb's module for each press of the tab key."""
        from click.shell_completion import CompletionItem

        return [
            *(
                CompletionItem(verb, help=about)
                for verb, about in VERBS.items()
                if verb.startswith(incomplete)
            ),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="vafa")
def vafa() -> None:
    """Vafa: a card terminal becomes a customer club."""
