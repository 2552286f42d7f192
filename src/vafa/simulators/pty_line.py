"""A pretend machine on a pseudo serial port, found under a path of its own.

The slave side stays open here too, so that a client may close and open it as often as it likes: without that
the master reads EIO as soon as the first client goes.
"""

import os
import select
import tty
from pathlib import Path
from threading import Event

from vafa.model.errors import PortError
from vafa.simulators.line import POLL_S, READ_BYTES, Line, Speaker, now


def serve_pty(terminal: Speaker, link_path: Path) -> Line:
    """Serve `terminal` on a pty whose slave is found at the symbolic link `link_path`."""
    if link_path.exists() and not link_path.is_symlink():
        raise PortError(f"{link_path} exists and is no link", fix="choose another path")
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    draft = link_path.with_name(link_path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(os.ttyname(slave))
        draft.replace(link_path)
    except OSError as error:
        os.close(master)
        os.close(slave)
        raise PortError(f"cannot make {link_path}: {error.strerror}") from error

    def serve(stopping: Event) -> None:
        try:
            while not stopping.is_set():
                _turn(terminal, master)
        finally:
            link_path.unlink(missing_ok=True)
            os.close(master)
            os.close(slave)

    return Line(str(link_path), serve)


def _turn(terminal: Speaker, master: int) -> None:
    """Wait for bytes or for time to pass, and say what is to be said."""
    readable = select.select([master], [], [], POLL_S)[0]
    said = terminal.feed(os.read(master, READ_BYTES), now()) if readable else terminal.step(now())
    while said:
        try:
            said = said[os.write(master, said) :]
        except BlockingIOError:
            break  # nobody reads: a serial line loses what nobody reads
    if terminal.take_drop():
        terminal.step(now())
        terminal.link_lost()  # a plugged-out cable: what was half said is gone
