"""The daemon's process, from a configuration to its exit code, without click (see `main`)."""

from pathlib import Path


def serve(config_path: Path) -> int:
    """Run the daemon until SIGTERM; its exit code. Raises the error tree when it cannot start."""
    from vafa.app.config import load
    from vafa.app.without_asyncio import asyncio_kept_out

    with asyncio_kept_out():
        from vafa.app.logs import set_up

    config = load(config_path)
    set_up(config.log.format, config.log.level)
    from vafa.app.daemon import Daemon
    from vafa.ports.clock import SystemClock

    daemon = Daemon(config, SystemClock())
    daemon.start()
    return daemon.run()
