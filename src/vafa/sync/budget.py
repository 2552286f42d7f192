"""What a metered link may carry a day, in bytes, whatever the clock says.

A bucket that holds half a day's allowance and fills evenly with the other half over a day of monotonic time:
so in any 24 hours at most the whole allowance is spent, over restarts and clock jumps too (time the device
was off does not fill it). The fuller it is the sooner a sale is sent; near its end sales wait for each other.
"""

import msgspec

DAY_S = 86_400.0
COST_BYTES_FIRST = 4_400.0  # of a sync until some were measured: a lone event on a new connection
_COST_WEIGHT = 0.25  # of the newest in the running mean


class Left(msgspec.Struct, frozen=True):
    """What is kept of a budget: bytes left at a monotonic second of one boot, and a sync's usual cost."""

    bytes: float
    at_s: float
    boot: str
    cost_bytes: float = COST_BYTES_FIRST


class Budget:
    """One device's. `day_bytes` 0: no limit."""

    def __init__(self, day_bytes: int, boot: str, now: float, left: Left | None) -> None:
        self._half = day_bytes / 2
        if left is None:
            left = Left(self._half, now, boot)
        elif left.boot != boot or left.at_s > now:
            left = msgspec.structs.replace(left, at_s=now, boot=boot)
        self._left = left

    def left(self, now: float) -> Left:
        """What is there at this moment, to be kept."""
        bytes_now = min(self._half, self._left.bytes + (now - self._left.at_s) * self._half / DAY_S)
        return msgspec.structs.replace(self._left, bytes=bytes_now, at_s=now)

    def spent(self, link_bytes: int, now: float) -> None:
        """Bytes went over the metered link."""
        left = self.left(now)
        cost = left.cost_bytes + _COST_WEIGHT * (link_bytes - left.cost_bytes)
        self._left = msgspec.structs.replace(left, bytes=left.bytes - link_bytes, cost_bytes=cost)

    def wait_s(self, now: float) -> float:
        """How long rows wait for company now; all there is to wait while the allowance is used up."""
        if not self._half:
            return 0.0
        left = self.left(now)
        needed = self._needed(left)
        if left.bytes < needed:
            return (needed - left.bytes) * DAY_S / self._half
        return left.cost_bytes * DAY_S / self._half * max(0.0, 1 - left.bytes / self._half)

    def is_used_up(self, now: float) -> bool:
        """True when not even one more sync is paid for."""
        left = self.left(now)
        return left.bytes < self._needed(left)

    def _needed(self, left: Left) -> float:
        """What must be there for one sync; an allowance too small for any lets one go when it is full."""
        return min(left.cost_bytes, self._half)
