"""The relay's one thread: waits for any descriptor, then for time to pass. No thread, no lock, no delay."""

import select
from collections.abc import Callable
from typing import Protocol

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR  # told of every watched descriptor, asked for or not


class Watcher(Protocol):
    """The loop, as far as what is watched needs it."""

    def watch(self, descriptor: int, events: int, act: Callable[[int], None]) -> None:
        """From now on `act` is called with what is so of READABLE, WRITABLE (as asked) and GONE."""
        ...

    def forget(self, descriptor: int) -> None:
        """Not any more. Before the descriptor is closed; one that is not watched is no fault."""
        ...


class Loop:
    """A Watcher on epoll(7)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Callable[[int], None]]] = {}

    def watch(self, descriptor: int, events: int, act: Callable[[int], None]) -> None:
        before = self._watched.get(descriptor)
        self._watched[descriptor] = (events, act)
        if before is None:
            self._epoll.register(descriptor, events)
        elif before[0] != events:
            self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def turn(self, wait_s: float) -> None:
        """Act on whatever is ready, waiting at most so long for the first of it."""
        for descriptor, events in self._epoll.poll(wait_s):
            watched = self._watched.get(descriptor)  # an earlier one of this turn may have closed it
            if watched is not None:
                watched[1](events)

    def close(self) -> None:
        self._epoll.close()
