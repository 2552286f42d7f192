"""Payments that a payment application told again with other facts: an alarm, never a second award.

Most likely its references began anew, and a second sale came under the reference of an earlier one. Nothing
that comes later proves the contrary, so it is shown for a day.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from vafa.app.outcome import Outcome
from vafa.model.payment import PaymentKey

SHOWN_S = 86_400.0
SHOWN_MAX = 20  # the newest: a till whose references begin anew each day would fill the screen


class ToldAgain:
    """All local terminals'. Any thread may ask and tell."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._otherwise: OrderedDict[PaymentKey, tuple[str, float]] = OrderedDict()  # our number, since when

    def otherwise(self, outcome: Outcome) -> None:
        """This payment came again, and its facts disagree with those that were told first."""
        with self._lock:
            self._otherwise[outcome.key] = outcome.number, self._monotonic()
            self._otherwise.move_to_end(outcome.key)
            while len(self._otherwise) > SHOWN_MAX:
                self._otherwise.popitem(last=False)

    def of(self, terminal: str) -> tuple[str, ...]:
        """Our numbers of a terminal's, the oldest alarm first."""
        with self._lock:
            since = self._monotonic() - SHOWN_S
            found = [(key, number, at) for key, (number, at) in self._otherwise.items()]
        return tuple(number for key, number, at in found if key.tid == terminal and at > since)
