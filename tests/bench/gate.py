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
        is_open = True
        pair: tuple[socket.socket, socket.socket] | None = None  # device, hub
        while True:
            waited: list[TextIO | socket.socket] = [sys.stdin, *(pair[: 1 + is_open] if pair else [server])]
            ready, _, _ = select.select(waited, [], [])
            if sys.stdin in ready:
                said = os.read(sys.stdin.fileno(), 64)
                if not said:
                    break
                is_open = said.strip().splitlines()[-1] == b"open"
            if server in ready:
                pair = server.accept()[0], socket.create_connection(("127.0.0.1", hub_port))
                for line in pair:
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            elif pair and not all(
                passed(source, target) for source, target in (pair, pair[::-1]) if source in ready
            ):
                close(pair)
                pair = None
        if pair:
            close(pair)


def close(pair: tuple[socket.socket, socket.socket]) -> None:
    """Either end is gone: the other goes too."""
    for line in pair:
        line.close()


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
