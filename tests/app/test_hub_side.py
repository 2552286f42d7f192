"""The daemon's side towards its hub, before and after it has begun."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from shop import Shop

from vafa.app import hub_side
from vafa.app.config import Config
from vafa.app.hub_side import HubSide
from vafa.app.sync_questions import SyncStatus
from vafa.app.sync_side import SyncSide
from vafa.model.errors import SyncError
from vafa.ports.clock import SystemClock
from vafa.sync import enrolment
from vafa.sync.enrolment import EnrolmentFault


class Answering:
    """A sync that runs."""

    def status(self, *_asked: object) -> str:
        return "it runs"

    def stop(self) -> None:
        pass


class Side(HubSide):
    """Begins an `Answering` where the device is enrolled."""

    def _begin(self) -> None:
        if self._enrolled() is not None:
            self._sync = cast(SyncSide, Answering())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.ledger.close()


def side(shop: Shop) -> Side:
    return Side(shop.ledger, shop.tokens, shop.sealer, cast(Config, None), SystemClock())


def enrol(shop: Shop) -> None:
    keys = ("00" * 32, "00" * 32, shop.tokens.key_id.hex())
    enrolment.save(shop.directory, enrolment.Enrolment("https://hub.example", "negin", 1, *keys))


def test_who_asks_before_the_sync_has_begun_is_answered_when_it_has(shop: Shop) -> None:
    """It was said that the device is not enrolled, with the advice to enrol it."""
    enrol(shop)
    hub = side(shop)
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(hub.sync(SyncStatus(), "test")))
    asking.start()
    hub.begin(shop.counter, int)
    asking.join()
    hub.stop()
    assert answers == ["it runs"]


def test_a_sync_that_does_not_begin_is_said_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(shop)
    monkeypatch.setattr(hub_side, "BEGUN_WITHIN_S", 0.01)
    with pytest.raises(SyncError, match="does not begin") as told:
        side(shop).sync(SyncStatus(), "test")
    assert told.value.code == "SYN-024"


def test_a_device_that_is_not_enrolled_is_told_so_at_once(shop: Shop) -> None:
    with pytest.raises(EnrolmentFault, match="not enrolled"):
        side(shop).sync(SyncStatus(), "test")
