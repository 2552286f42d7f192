"""Smaller readers: the relay's socket, the kernel's notices, the managers' words, Iran System text."""

from random import Random

from fuzz.judging import same
from fuzz.target import Target

from vafa.ports import relay_wire as wire
from vafa.ports.relay_wire import NotTheRelay
from vafa.ports.usb_id import read_usb_id
from vafa.receipt.iransystem import BYTES_MAX, decode, encode_lines
from vafa.simulators import iran_system
from vafa.sync import netlink, network_manager


class RelayMessages(Target):
    """What relay and daemon say to each other."""

    name = "relay"
    what = "messages between the relay and the daemon"
    share = 140

    def __init__(self) -> None:
        hello = wire.encode_hello(wire.Hello(17, "a1b2", "killed"))
        state = wire.encode_state("open", "nobody answers")
        copies = [
            wire.encode(kind, 9, b"\x02006000\x06\x03\x05")
            for kind in (wire.TO_TERMINAL, wire.TO_REGISTER, wire.CUT)
        ]
        lent = [
            wire.encode(kind, wire.Over.IN_USE, b"x")
            for kind in (wire.BORROW, wire.ASK, wire.LENT, wire.OVER)
        ]
        self.seeds = [hello, state, *copies, *lent, hello + state + copies[0]]
        self.words = (b"H", b"<", b"\0\0\0\0", b"\0\1\0\0", b"\xff" * 8, b"\n")

    def judge(self, data: bytes, random: Random) -> str:
        whole = _messages(data, [len(data) or 1])
        same(_messages(data, [1, 3, 20, 500]), whole, "another split")
        for message in whole or ():
            wire.read_hello(message)
            wire.read_state(message)
            assert "bytes" in repr(message), "the payload is never shown"
        return "refused" if whole is None else f"{min(len(whole), 3)} messages"


def _messages(data: bytes, steps: list[int]) -> list[wire.Message] | None:
    """What the bytes hold, None when they are not the relay's."""
    splitter, found, at, turn = wire.Splitter(), list[wire.Message](), 0, 0
    try:
        while at < len(data):
            step = steps[turn % len(steps)]
            found += splitter.feed(data[at : at + step])
            at, turn = at + step, turn + 1
    except NotTheRelay:
        return None
    return found


class Notices(Target):
    """What the kernel and the network managers say of links."""

    name = "links"
    what = "rtnetlink notices, nmcli's and mmcli's words, USB ids"
    share = 120

    def __init__(self) -> None:
        link = netlink._message(
            netlink.RTM_NEWLINK, 2, 3, netlink._LINK.pack(0, 0, 1, 2, 0x10043, 0) + _attributes()
        )
        route = netlink._message(
            netlink.RTM_NEWROUTE, 2, 3, netlink._ROUTE.pack(2, 0, 0, 0, 254, 3, 0, 1, 0) + _attributes()
        )
        done = netlink._message(netlink.NLMSG_DONE, 2, 3, bytes(4))
        nmcli = b"GENERAL.DEVICE:wlan0\nGENERAL.METERED:yes (guessed)\n"
        mmcli = (
            b"modem.generic.access-technologies.value[1] : lte\nmodem.generic.ports.value[1] : wwan0 (net)\n"
        )
        self.seeds = [
            link,
            route,
            link + route + done,
            netlink.ask_way(1, b"\x7f\0\0\1"),
            nmcli,
            mmcli,
            b"usb:067b:2303@1-1.2",
        ]
        self.words = (
            b"\0\0",
            b"\x04\0",
            b"\x09\0",
            b"\xff\xff",
            b"GENERAL.DEVICE:",
            b"--",
            b"usb:",
            bytes(8),
        )

    def judge(self, data: bytes, random: Random) -> str:
        seen = netlink.read(data) + netlink.read(data, 3)
        for each in seen:
            if isinstance(each, netlink.Route):
                each.covers(b"\x7f\0\0\1")
                each.covers(bytes(16))
        text = data.decode("utf-8", "replace")
        told = network_manager.metered_in(text), network_manager.radio_in(text)
        read_usb_id(text)
        return "notices" if seen else "words" if any(told) else "nothing"


def _attributes() -> bytes:
    name = netlink._ATTRIBUTE.pack(10, 3) + b"wwan0\0" + bytes(2)
    return (
        name
        + netlink._ATTRIBUTE.pack(8, 4)
        + netlink._U32.pack(2)
        + netlink._ATTRIBUTE.pack(5, 33)
        + b"\1\0\0\0"
    )


class IranSystem(Target):
    """Opt6: any text to a terminal's bytes and any bytes to text."""

    name = "opt6"
    what = "receipt text in the Iran System code page, both ways"
    share = 20

    def __init__(self) -> None:
        lines = (
            "کافه نگین",
            "اگر پرداخت شود: ۱۲۸ امتیاز",
            "Kafe Negin 128",
            "کد ۴۸۲۹۱۷ (تا ۳ روز)",
            "می‌شود، خوش‌آمدید",
        )
        self.seeds = [*(line.encode() for line in lines), encode_lines(lines), "\n".join(lines).encode()]
        self.words = (
            "‌".encode(),
            "لا".encode(),
            "ی".encode(),
            b",",
            "،".encode(),
            b"\xf2",
            b"\xff",
            b"(",
            "٬".encode(),
        )

    def judge(self, data: bytes, random: Random) -> str:
        text = data.decode("utf-8", "replace")
        made = encode_lines(text.split("\n"), bytes_max=random.choice((10, 100, BYTES_MAX)))
        assert len(made) <= BYTES_MAX
        decode(data)
        decode(made)
        assert all(isinstance(line, str) for line in iran_system.decode_lines(data))
        return "text" if made else "nothing"
