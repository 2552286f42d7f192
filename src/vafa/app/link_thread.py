"""The link watch's thread. A kernel that does not tell is a state that `status` shows, never an end."""

import threading
from collections.abc import Callable

import msgspec
import structlog

from vafa.ports.clock import Clock
from vafa.sync.link_watch import LinkWatch, LinkWatchError
from vafa.sync.links import Links, Metering
from vafa.sync.network_manager import told

TRY_AGAIN_S = 60.0

log = structlog.get_logger()


class LinkThread:
    """Watches from `run` to `stop`. `wake` is called when a way comes up, or another one."""

    def __init__(self, metering: Metering, clock: Clock, wake: Callable[[], None]) -> None:
        self._metering, self._clock, self._wake = metering, clock, wake
        self._stopping = threading.Event()
        self._watch: LinkWatch | None = None
        self._known = Links(changed_at=clock.monotonic(), fault="the links are being looked at")
        self._addresses: tuple[str, ...] = ()

    def links(self) -> Links:
        """What is known now: also to whoever is being woken by it."""
        watch = self._watch
        return self._known if watch is None else watch.links()

    def toward(self, addresses: tuple[str, ...]) -> None:
        """The hub's addresses, once they are known: the way to them is the one that counts."""
        self._addresses = addresses
        watch = self._watch
        if watch is not None:
            watch.toward(addresses)

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping.set()
        watch = self._watch
        if watch is not None:
            watch.nudge()

    def run(self) -> None:
        """Until `stop`; begins anew, after a while, where the kernel would not tell."""
        while not self._stopping.is_set():
            try:
                watch = LinkWatch(self._wake, self._clock.monotonic(), self._metering, told)
            except LinkWatchError as error:
                self._failed(str(error))
                continue
            self._watch = watch
            try:
                watch.toward(self._addresses)
                self._follow(watch)
            except OSError as error:
                self._failed(f"the kernel's word of its links was lost ({error})")
            finally:
                self._watch = None
                watch.close()

    def _follow(self, watch: LinkWatch) -> None:
        before = ""
        while not self._stopping.is_set():
            wait_s = watch.step(self._clock.monotonic())
            known = watch.links()
            by = known.carrier.name if known.carrier is not None else ""
            if by != before:
                log.info("link", by=by, before=before, way=known.way)
            before = by
            watch.wait(wait_s)

    def _failed(self, fault: str) -> None:
        log.warning("link watch", fault=fault)
        self._known = msgspec.structs.replace(Links(changed_at=self._clock.monotonic()), fault=fault)
        self._stopping.wait(TRY_AGAIN_S)
