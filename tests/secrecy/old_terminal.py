"""A Sadad terminal of the worst kind: it answers every request and writes a card number anywhere it is told.

Frames are built from the layouts of the vendor's document, without the codec under test.
"""

import socket
import threading
from collections.abc import Callable
from functools import reduce
from hashlib import sha256

# field -> (first unit of two bytes, units) of the 137 units of a sale response; not the amount, where
# a number is an amount whatever it looks like
RESPONSE = {
    "card": (17, 17),
    "processing": (34, 7),
    "trace": (41, 7),
    "rrn": (62, 13),
    "approval": (75, 7),
    "terminal": (82, 9),
    "merchant": (91, 16),
    "text": (107, 30),
}
_UNITS = 137
_LEN_TO_DATA = 8  # STX, three digits of length, three of version, type


class OldTerminal:
    """Serves one cash register at a time on a TCP port of its own, from `with` to the end of it.

    planted  the field and text to write into the next sale response; None: an ordinary approval
    card     what the card reader gives, a whole number
    lost     the next sale is paid and its answer lost: the line breaks after the request
    """

    def __init__(self, terminal_id: str) -> None:
        self.terminal_id = terminal_id
        self.planted: tuple[str, str] | None = None
        self.card = ""
        self.lost = False
        self._rows: list[bytes] = []
        self._sales = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._register: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "OldTerminal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        if self._register is not None:
            self._register.close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                self._register, _ = self._listener.accept()
            except OSError:
                return
            with self._register as register:
                register.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                rest = b""
                while received := register.recv(4096):
                    rest = self._frames(rest + received, register.sendall)

    def _frames(self, data: bytes, send: Callable[[bytes], None]) -> bytes:
        while len(data) >= 4 and len(data) >= (end := 4 + int(data[1:4])):
            version, kind, body = data[4:7], data[7], data[_LEN_TO_DATA : end - 2]
            data = data[end:]
            if kind == 0xF1:
                send(frame(b"000", 0x06, b""))
            elif kind == 0x19:
                send(frame(version, 0x06, b""))
                answer = self._sale(body) if version == b"000" else self._function(body)
                if answer is None:
                    assert self._register is not None
                    self._register.shutdown(socket.SHUT_RDWR)
                    return b""
                send(frame(version, 0x1A, answer))
        return data

    def _sale(self, request: bytes) -> bytes | None:
        self._sales += 1
        amount = request[:13].rstrip(b"\0").decode()
        trace, rrn = f"{self._sales:06d}", f"3200626{self._sales:05d}"
        if self.lost:
            self.lost = False
            self._rows.insert(0, self._row(amount, trace, rrn, request))
            return None
        values = {
            "response": (0, "00"), "amount": (4, amount), "card": (17, self.card or "621986******3864"),
            "processing": (34, "000000"), "trace": (41, trace), "rrn": (62, rrn), "approval": (75, "0014"),
            "terminal": (82, self.terminal_id), "merchant": (91, "000000000000152"),
        }  # fmt: skip
        units = ["\0"] * _UNITS
        for at, text in values.values():
            units[at : at + len(text)] = text
        if self.planted is not None:
            field, text = self.planted
            at = RESPONSE[field][0]
            units[at : at + len(text)] = text[: _UNITS - at]
        return "".join(units).encode("utf-16-le")

    def _row(self, amount: str, trace: str, rrn: str, request: bytes) -> bytes:
        """A row of function 0014, whose order id is followed by the whole card number in the row behind."""
        head = f"04{int(amount):012d}{trace}20261123120000{self.card[:12]:12}{rrn}00"
        at, order = 38, b""
        bitmap = request[37]
        for option in range(1, 9):
            if bitmap & 1 << option - 1:
                length = int(request[at : at + 3])
                order = request[at + 3 : at + 3 + length] if option == 5 else order
                at += 3 + length
        return head.encode() + f"{len(order):02d}".encode() + order

    def _function(self, body: bytes) -> bytes:
        if body[:4] == b"0003":
            digest = sha256(self.card.encode()).hexdigest().upper()
            payload = f"{digest}{self.terminal_id:8}{self.card[:15]:15}{self.card[:12]:12}".encode()
            return b"0004" + f"{len(payload):03d}".encode() + payload
        odd = f"04000000010000{self.card[:6]}20261123120000{self.card[:12]:12}{self.card[:12]:12}00".encode()
        odd += f"{len(self.card):02d}{self.card}".encode()
        payload = b"".join([*self._rows[:3], odd])
        return b"0014" + f"{len(payload):03d}".encode() + payload


def frame(version: bytes, kind: int, data: bytes) -> bytes:
    """STX, length, version, type, data, ETX and the checksum over all between."""
    body = f"{len(data) + 6:03d}".encode() + version + bytes([kind]) + data
    return b"\x02" + body + b"\x03" + bytes([reduce(int.__xor__, body, 0) ^ 0x03])
