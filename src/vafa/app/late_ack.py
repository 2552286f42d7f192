"""The one extra thread that acknowledges a RESPONSE whose commit takes longer than a terminal may wait.

A companion never becomes the reason that a terminal reverses real money: after 300 ms the ACK goes, durable
or not. What could not be committed stays in memory and `status` says BROKEN.

While sales come, nobody wakes it: it looks of itself each 300 ms, and sleeps on to the end of what is armed.
Being woken at each approval took its lane's turn from the very commit that the ACK waits for.
"""

import threading
import time
from collections.abc import Callable

ACK_WAIT_MAX_S = 0.3


class LateAck:
    """Runs `send` once, ACK_WAIT_MAX_S after `arm`, unless `disarm` comes first. One sale at a time."""

    def __init__(self, send: Callable[[], None], name: str) -> None:
        self._send = send
        self._wake = threading.Condition()
        self._due_at: float | None = None  # monotonic; None: nothing is armed
        self._armed = 0  # counts
        self._sleeps = False  # until it is woken, for nothing was armed for a while
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"late-ack {name}", daemon=True)
        self._thread.start()

    def arm(self) -> None:
        """The clock runs from now."""
        with self._wake:
            self._due_at = time.monotonic() + ACK_WAIT_MAX_S
            self._armed += 1
            if self._sleeps:
                self._wake.notify()

    def disarm(self) -> None:
        """The commit was in time, or the link is gone."""
        with self._wake:
            self._due_at = None

    def close(self) -> None:
        """End the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        looked = 0
        with self._wake:
            while not self._closed:
                due_at, now = self._due_at, time.monotonic()
                if due_at is None:
                    self._sleeps, looked = looked == self._armed, self._armed
                    self._wake.wait(None if self._sleeps else ACK_WAIT_MAX_S)
                    self._sleeps = False
                elif now < due_at:
                    self._wake.wait(due_at - now)
                else:
                    self._due_at = None
                    self._wake.release()
                    try:
                        self._send()
                    finally:
                        self._wake.acquire()
