"""One turn at a time per (tenant, agent, caller, context): who runs, and who waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """Turn locks with a queue behind each."""

    def __init__(self) -> None:
        self._held: dict[Hashable, deque[T] | None] = {}  # the queue is made when somebody waits

    def __len__(self) -> int:
        return len(self._held)

    def held(self, key: Hashable) -> bool:
        """Whether a turn of this context is running."""
        return key in self._held

    def enter(self, key: Hashable) -> None:
        """Take a lock that is free."""
        self._held[key] = None

    def wait(self, key: Hashable, who: T) -> None:
        """Queue behind the running turn."""
        queue = self._held[key]
        if queue is None:
            queue = self._held[key] = deque()
        queue.append(who)

    def waiting(self, key: Hashable) -> int:
        """How many wait."""
        return len(self._held.get(key) or ())

    def leave(self, key: Hashable) -> T | None:
        """Give the lock back, or hand it to the one who has waited longest."""
        queue = self._held.get(key)
        if queue:
            return queue.popleft()
        self._held.pop(key, None)
        return None

    def abandon(self, key: Hashable, who: T) -> None:
        """Leave the queue without a turn."""
        queue = self._held.get(key)
        if queue and who in queue:
            queue.remove(who)
