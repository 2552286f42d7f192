"""The daemon's process, from a configuration to its exit code, without click (see `main`)."""

import threading
from pathlib import Path

SELF_TEST_WITHIN_S = 120.0  # two seconds on a small device; flash that is busy may need more


def serve(config_path: Path) -> int:
    """Run the daemon until SIGTERM; its exit code. Raises the error tree when it cannot start."""
    from vafa.app.without_asyncio import asyncio_kept_out
    from vafa.app.without_openssl import hash_without_openssl
    from vafa.cli.lean import load_zoneinfo

    load_zoneinfo()
    hash_without_openssl()  # before anything that hashes
    from vafa.app.config import load

    with asyncio_kept_out():
        from vafa.app.logs import set_up

    config = load(config_path)
    set_up(config.log.format, config.log.level)
    stand_trial()
    from vafa.app.daemon import Daemon
    from vafa.ports.clock import SystemClock

    daemon = Daemon(config, SystemClock())
    threading.excepthook = daemon.thread_died
    daemon.start()
    return daemon.run()


def stand_trial() -> None:
    """A release on trial tries itself, here within its unit's confinement, before it may say READY.

    UpdateError ends this start; the third such end is the way back to the release before.
    """
    from vafa.app import releases

    there = releases.own()
    trial = there.trial() if there is not None else None
    if trial is None or trial.to != releases.own_version():
        return
    from vafa.app.aside import Failed, run_aside

    try:
        run_aside("vafa.app.selftest", given=b"", within_s=SELF_TEST_WITHIN_S)
    except Failed as failure:
        raise releases.UpdateError(
            f"this release does not pass its self-test: {failure}", fix="vafa update status", code="UPD-006"
        ) from failure
