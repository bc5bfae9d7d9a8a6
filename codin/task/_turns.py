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

    def enter(self, key: Hashable) -> bool:
        """Take the lock if it is free; whether it was."""
        if key in self._held:
            return False
        self._held[key] = None
        return True

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
        queue = self._held.pop(key, None)
        if not queue:
            return None
        self._held[key] = queue
        return queue.popleft()

    def abandon(self, key: Hashable, who: T) -> None:
        """Leave the queue without a turn."""
        queue = self._held.get(key)
        if queue and who in queue:
            queue.remove(who)
