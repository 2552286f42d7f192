"""A gate between a device and its hub, in a process of its own: `python tests/bench/gate.py HUB_PORT`.

Prints the port it listens on; "shut" and "open" on its stdin. While it is shut no answer reaches the device:
the backlog rests where it is, TLS, connection and all. So one run measures sales beside a drain and without
it in turns, and the machine's own moods are in both.
"""

import os
import select
import socket
import sys
from typing import TextIO

CHUNK_BYTES = 65_536


def main(hub_port: int) -> None:
    """Until stdin ends. One connection at a time: a device has one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        is_open, device, hub = True, None, None
        while True:
            waited: list[TextIO | socket.socket] = (
                [sys.stdin, server] if device is None else [sys.stdin, device]
            )
            if is_open and hub is not None:
                waited.append(hub)
            ready, _, _ = select.select(waited, [], [])
            if sys.stdin in ready:
                said = os.read(sys.stdin.fileno(), 64)
                if not said:
                    break
                is_open = said.strip().splitlines()[-1] == b"open"
            if server in ready:
                device, _ = server.accept()
                hub = socket.create_connection(("127.0.0.1", hub_port))
                for line in (device, hub):
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((device, hub), (hub, device)):
                if (
                    source in ready
                    and source is not None
                    and target is not None
                    and not passed(source, target)
                ):
                    for line in (source, target):
                        line.close()
                    device, hub = None, None
                    break
        for open_line in (device, hub):
            if open_line is not None:
                open_line.close()


def passed(source: socket.socket, target: socket.socket) -> bool:
    """What has come, on its way; False at the end of it."""
    try:
        chunk = source.recv(CHUNK_BYTES)
        target.sendall(chunk)
    except OSError:
        return False
    return bool(chunk)


if __name__ == "__main__":
    main(int(sys.argv[1]))
