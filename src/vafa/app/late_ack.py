"""The one extra thread that acknowledges a RESPONSE whose commit takes longer than a terminal may wait.

A companion never becomes the reason that a terminal reverses real money: after 300 ms the ACK goes, durable
or not. What could not be committed stays in memory and `status` says BROKEN.
"""

import threading
from collections.abc import Callable
from functools import partial

ACK_WAIT_MAX_S = 0.3


class LateAck:
    """Runs `send` once, ACK_WAIT_MAX_S after `arm`, unless `disarm` comes first. One sale at a time."""

    def __init__(self, send: Callable[[], None], name: str) -> None:
        self._send = send
        self._wake = threading.Condition()
        self._armed = 0  # counts; the thread serves the newest one only
        self._disarmed = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"late-ack {name}", daemon=True)
        self._thread.start()

    def arm(self) -> None:
        """The clock runs from now."""
        with self._wake:
            self._armed += 1
            self._wake.notify()

    def disarm(self) -> None:
        """The commit was in time, or the link is gone."""
        with self._wake:
            self._disarmed = self._armed
            self._wake.notify()

    def close(self) -> None:
        """End the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _is_over(self, serving: int) -> bool:
        return self._closed or self._disarmed >= serving or self._armed != serving

    def _run(self) -> None:
        with self._wake:
            while not self._closed:
                if self._armed == self._disarmed:
                    self._wake.wait()
                    continue
                serving = self._armed
                if not self._wake.wait_for(partial(self._is_over, serving), ACK_WAIT_MAX_S):
                    self._disarmed = serving
                    self._wake.release()
                    try:
                        self._send()
                    finally:
                        self._wake.acquire()
