"""Token buckets: how often something may be asked. Kept in the database, so many hub processes share them."""

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """`size` at once, then `per_s` a second."""

    size: float
    per_s: float


class Spent(msgspec.Struct, frozen=True):
    """The bucket after one was taken; or, with `wait_s` > 0, that nothing was, and when to come back."""

    tokens: float
    wait_s: int = 0


def spend(bucket: Bucket, stored: tuple[float, int] | None, at_ms: int) -> Spent:
    """Take one. `stored` is (tokens, UTC milliseconds) when it was last taken from; None: it is full.

    A hub's clock that jumps back refills nothing and takes nothing.
    """
    tokens = bucket.size
    if stored is not None:
        passed_s = max(0, at_ms - stored[1]) / 1000
        tokens = min(bucket.size, stored[0] + passed_s * bucket.per_s)
    if tokens < 1:
        return Spent(tokens, max(1, round((1 - tokens) / bucket.per_s + 0.5)))
    return Spent(tokens - 1)
