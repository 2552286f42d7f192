"""A pretend Sadad terminal's announcements: `SADAD PCPOS:name:ip:port:terminal:merchant` each second by UDP.

On loopback they go to 127.0.0.1 alone; elsewhere they are broadcast, as a real terminal does. The bytes are
written from the published text, not with the codec. A notification (TYPE 1B, port 101) can be sent too; its
layout is one vendor's library's, and whether a real terminal ever sends one is unproven.
"""

import socket
from threading import Event, Thread

from vafa.simulators import sadad_bytes as wire

PORTS = (100, 8010)
EVERY_S = 1.0
NOTIFICATION = 0x1B


def announcement(name: str, host: str, port: int, tid: str, mid: str, header: str = "SADAD PCPOS") -> bytes:
    """The datagram's bytes."""
    return f"{header}:{name}:{host}:{port}:{tid}:{mid}".encode()


def notification(tid: str, mid: str = "", amount: int = 0, name: str = "") -> bytes:
    """A frame of TYPE 1B: 183 units of two bytes, the terminal's id among them. Amount in rials."""
    units = (
        ("00", 4), (str(amount), 13), ("621986******3864", 17), ("000000", 7), ("000001", 7), ("", 6),
        ("", 24), ("", 13), ("0014  ", 7), (tid, 9), (mid, 16), ("", 30), (name, 30),
    )  # fmt: skip
    data = b"".join(text.encode("utf-16-le")[: 2 * count].ljust(2 * count, b"\0") for text, count in units)
    return wire.build(wire.PLAIN, NOTIFICATION, data)


def own_address(listening: str) -> str:
    """What a terminal that listens there names itself: for all addresses, the one its network leads to."""
    if listening not in ("", "0.0.0.0"):  # noqa: S104 - compared, not bound
        return listening
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("192.0.2.1", 9))  # sends nothing: only asks for the way
        except OSError:
            return "127.0.0.1"
        return str(line.getsockname()[0])


class Announcer:
    """Says each EVERY_S where the terminal listens, until stopped."""

    def __init__(self, datagram: bytes, host: str, ports: tuple[int, ...] = PORTS) -> None:
        self._datagram, self._ports = datagram, ports
        self._from = host
        self._to = host if host.startswith("127.") else "255.255.255.255"
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            line.bind((self._from, 0))  # a broadcast leaves where this address is, default route or none
            while True:
                for port in self._ports:
                    send(line, self._datagram, self._to, port)
                if self._stopping.wait(EVERY_S):
                    return

    def stop(self) -> None:
        """No more announcements. May be called twice."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> "Announcer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def send(line: socket.socket, datagram: bytes, host: str, port: int) -> bool:
    """One datagram; False when the network does not take it (down, no broadcast): a terminal goes on too."""
    try:
        line.sendto(datagram, (host, port))
    except OSError:
        return False
    return True
