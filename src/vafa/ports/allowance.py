"""A token bucket: how long a client must wait before its next request is read."""


class Allowance:
    """`burst` requests at once, then `per_s` a second. Times are monotonic seconds, given by the caller."""

    def __init__(self, burst: int, per_s: float, now: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> float:
        """Takes one request; the seconds to wait before serving it (0 while the burst lasts)."""
        self._left = min(float(self._burst), self._left + (now - self._at) * self._per_s)
        self._at = now
        self._left -= 1.0
        return max(0.0, -self._left / self._per_s)
