"""A payment application whose references begin anew: the real daemon says so until somebody looks."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_device import Device


@pytest.fixture
def device() -> Iterator[Device]:
    with tempfile.TemporaryDirectory(prefix="vafa-") as short:  # sockets need short paths
        yield Device(Path(short) / "device")


def test_a_reference_used_for_a_second_sale_shows_in_status_and_earns_nothing(device: Device) -> None:
    with device.running():
        first = device.pay("1", amount=200_000)
        assert json.loads(device.vafa("status", "--json").stdout)["trouble"] == []
        second = device.pay("1", amount=350_000)
        shown = device.vafa("status", "--json")
    assert (second["number"], second["amount"]) == (first["number"], 200_000)
    (trouble,) = json.loads(shown.stdout)["trouble"]
    assert (shown.returncode, trouble["code"]) == (10, "GAP-003")
    assert first["number"] in trouble["fix"]
