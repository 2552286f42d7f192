"""The `vafa` command: starts the daemon at once, or hands over to the verbs; the error tree as exit codes.

Exit codes: 0 done, 1 it could not be done (the message says why and what to do), 2 usage or config,
3 the daemon is not running; `status` has its own scale (UX: 0, 10, 20, 3).

The daemon runs for months on small devices, so the way it is started by its unit is read here by hand: click
would stay in its memory for two options.
"""

import io
import os
import sys
from pathlib import Path
from typing import Any

from vafa.cli.lean import load_msgspec

load_msgspec()  # before the first of ours that needs it
from vafa.model.errors import ConfigError, NotRunning, ProgrammeError, StoreUnavailable, VafaError  # noqa: E402

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING = 1, 2, 3
CONFIG = "/etc/vafa/config.toml"
CONFIG_VARIABLE = "VAFA_CONFIG"


def exit_code(error: VafaError) -> int:
    """The process exit code for an error of the tree."""
    match error:
        case NotRunning() | StoreUnavailable():
            return EXIT_NOT_RUNNING
        case ConfigError() | ProgrammeError():
            return EXIT_USAGE
        case _:
            return EXIT_FAILED


def daemon_config(arguments: list[str], verb: str = "run") -> Path | None:
    """The configuration when `arguments` start the daemon and ask nothing else; None for click to read.

    `verb` is how it is started: `run`, or `relay` for the relay.
    """
    match arguments:
        case [first] if first == verb:
            return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG)
        case [first, "--config", path] if first == verb and path and not path.startswith("-"):
            return Path(path)
        case _:
            return None


def main(argv: list[str] | None = None) -> Any:
    """Entry point of the console script. Never shows a traceback for an error of the tree."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Persian shows ?, not a traceback
    arguments = sys.argv[1:] if argv is None else argv
    config, relayed = daemon_config(arguments), daemon_config(arguments, "relay")
    try:
        if relayed is not None:
            from vafa.cli.serve_relay import serve_relay

            sys.exit(serve_relay(relayed))
        if config is not None:
            from vafa.cli.serve import serve

            sys.exit(serve(config))
        from vafa.cli.verbs import vafa

        return vafa.main(args=argv, prog_name="vafa")
    except VafaError as error:
        print(f"vafa: {error}   [{error.code}]", file=sys.stderr)
        if error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
