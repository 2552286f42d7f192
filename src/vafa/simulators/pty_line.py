"""A pretend machine on a pseudo serial port, found under a path of its own.

The slave side stays open here too, so that a client may close and open it as often as it likes: without that
the master reads EIO as soon as the first client goes.

A line that drops is a cable pulled out: the client is hung up on, the path is gone, and after a while it is
there again and leads to another port, as an adapter under `/dev/serial/by-id` that came back as ttyUSB1.
"""

import os
import select
import tty
from pathlib import Path
from threading import Event

from vafa.model.errors import PortError
from vafa.simulators.line import POLL_S, READ_BYTES, Line, Speaker, be_away, now
from vafa.simulators.line_trouble import Drop

UNPLUGGED_S = 0.5  # a cable that is out for a moment


def serve_pty(terminal: Speaker, link_path: Path) -> Line:
    """Serve `terminal` on a pty whose slave is found at the symbolic link `link_path`."""
    if link_path.exists() and not link_path.is_symlink():
        raise PortError(f"{link_path} exists and is no link", fix="choose another path")
    port = _plugged_in(link_path)

    def serve(stopping: Event) -> None:
        nonlocal port
        while True:
            try:
                drop = _until_it_drops(terminal, port[0], stopping)
            finally:
                link_path.unlink(missing_ok=True)
            if drop is None:
                break
            _unplug(port)
            terminal.step(now())
            terminal.link_lost()  # what was half said is gone
            be_away(terminal, drop.away_s or UNPLUGGED_S, stopping)
            port = _plugged_in(link_path)
        _unplug(port)

    return Line(str(link_path), serve)


def _plugged_in(link_path: Path) -> tuple[int, int]:
    """A new pty, (master, slave), found at `link_path`."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    draft = link_path.with_name(link_path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(os.ttyname(slave))
        draft.replace(link_path)
    except OSError as error:
        _unplug((master, slave))
        raise PortError(f"cannot make {link_path}: {error.strerror}") from error
    return master, slave


def _unplug(port: tuple[int, int]) -> None:
    for descriptor in port:
        os.close(descriptor)


def _until_it_drops(terminal: Speaker, master: int, stopping: Event) -> Drop | None:
    """Wait for bytes or for time to pass, and say what is to be said; None when the server stops."""
    while not stopping.is_set():
        readable = select.select([master], [], [], POLL_S)[0]
        said = terminal.feed(os.read(master, READ_BYTES), now()) if readable else terminal.step(now())
        while said:
            try:
                said = said[os.write(master, said) :]
            except BlockingIOError:
                break  # nobody reads: a serial line loses what nobody reads
        if (drop := terminal.take_drop()) is not None:
            return drop
    return None
