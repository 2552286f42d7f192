"""A line known by its adapter: which serial line is meant, under whatever name it is back."""

import pytest

from vafa.model.errors import PortError
from vafa.ports import usb_id
from vafa.ports.link import open_link
from vafa.ports.usb_id import Adapter, UsbId, chosen, matching, read_usb_id

FTDI = Adapter("/dev/ttyUSB0", "0403", "6001", "A50285BI", "1-1.2")
TWIN = Adapter("/dev/ttyUSB1", "0403", "6001", "A50285BJ", "1-1.3")
PLAIN = Adapter("/dev/ttyUSB10", "1a86", "7523", "", "1-1.4")  # a CH340 has no serial number
BOARD = Adapter("/dev/ttyS0")
ALL = (TWIN, BOARD, PLAIN, FTDI)


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("usb:0403:6001", UsbId("0403", "6001")),
        ("usb:1A86:7523", UsbId("1a86", "7523")),
        ("usb:0403:6001:A50285BI", UsbId("0403", "6001", "A50285BI")),
        ("usb:A50285BI", UsbId(serial_number="A50285BI")),
        ("usb:0403:6001@1-1.2", UsbId("0403", "6001", location="1-1.2")),
        ("usb:@1-1.2", UsbId(location="1-1.2")),
        ("usb:0403:6001:a:b", UsbId("0403", "6001", "a:b")),
        ("usb:", None),
        ("usb:403:6001", None),
        ("usb:0403:60g1", None),
        ("usb:0403:6001:", None),
        ("usb:0403:6001@", None),
        ("/dev/ttyUSB0", None),
    ],
)
def test_an_address_names_an_adapter_by_kind_number_or_socket(address: str, meant: UsbId | None) -> None:
    assert read_usb_id(address) == meant


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (UsbId("0403", "6001"), [FTDI, TWIN]),
        (UsbId("0403", "6001", "A50285BJ"), [TWIN]),
        (UsbId(serial_number="A50285BI"), [FTDI]),
        (UsbId("1a86", "7523"), [PLAIN]),
        (UsbId(location="1-1.4"), [PLAIN]),
        (UsbId("0403", "6001", location="1-1.4"), []),
        (UsbId(serial_number="a50285bi"), []),  # serial numbers are case-sensitive
    ],
)
def test_only_adapters_that_fit_in_everything_named_are_found(wanted: UsbId, found: list[Adapter]) -> None:
    assert matching(wanted, ALL) == found


def test_the_same_adapter_is_found_under_its_new_name() -> None:
    before, after = [FTDI, BOARD], [Adapter("/dev/ttyUSB1", "0403", "6001", "A50285BI", "1-1.2"), BOARD]
    assert chosen("usb:A50285BI", before) == "/dev/ttyUSB0"
    assert chosen("usb:A50285BI", after) == "/dev/ttyUSB1"


def test_an_adapter_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(PortError, match="usb:067b:2303 is not plugged in") as caught:
        chosen("usb:067b:2303", [FTDI, BOARD])
    assert caught.value.code == "SER-002"
    assert "/dev/ttyUSB0 = usb:0403:6001:A50285BI@1-1.2; /dev/ttyS0 = no USB" in caught.value.fix
    with pytest.raises(PortError) as none:
        chosen("usb:067b:2303", [])
    assert "no serial adapter at all" in none.value.fix


def test_two_adapters_that_fit_are_not_chosen_between() -> None:
    with pytest.raises(PortError, match="fits 2 adapters: /dev/ttyUSB0, /dev/ttyUSB1") as caught:
        chosen("usb:0403:6001", ALL)
    assert caught.value.code == "SER-008"
    assert "usb:0403:6001:A50285BJ@1-1.3" in caught.value.fix


def test_a_line_by_its_adapter_is_looked_up_at_each_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    listings = [[], [Adapter("/dev/none-of-this-name", "0403", "6001")]]
    monkeypatch.setattr(usb_id, "plugged_in", lambda: listings.pop(0))
    with pytest.raises(PortError, match="is not plugged in"):
        open_link("usb:0403:6001", 115_200)
    with pytest.raises(PortError, match="/dev/none-of-this-name is not there"):
        open_link("usb:0403:6001", 115_200)


def test_this_machine_tells_its_serial_lines() -> None:
    assert all(each.device.startswith("/dev/") for each in usb_id.plugged_in())
