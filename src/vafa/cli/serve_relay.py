"""The relay's process, from a configuration to its exit code, without click, ledger and log (see `main`)."""

from pathlib import Path

from vafa.model.errors import ConfigError, Fault


def serve_relay(config_path: Path) -> int:
    """Forward until SIGTERM; the exit code. ConfigError when no terminal is in mode `proxy`."""
    from vafa.app.config import load
    from vafa.ports.relay import Relay, RelayedLine

    config = load(config_path)
    lines = [
        RelayedLine(terminal.id, terminal.listen, terminal.address, terminal.baud)
        for terminal in config.terminal
        if terminal.mode == "proxy"
    ]
    if not lines:
        hint = 'no terminal has mode = "proxy": there is nothing to forward'
        raise ConfigError(str(config_path), [Fault("terminal", hint)])
    return Relay(lines, config.relay_socket, config.relay_directory).run()
