"""When a process that has ended is started again, and when it is left alone."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

__all__ = ["Restarts"]


class Restarts:
    """Waits longer after every end, with chance in it so that processes do not start in step; then gives up.

    Args:
        first: seconds before the first restart; each further one waits twice as long.
        limit: ends within `window` seconds after which the process is left alone.
        chance: a number from 0 to 1, the jitter.
    """

    def __init__(
        self,
        *,
        first: float = 0.25,
        limit: int = 5,
        window: float = 60.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.limit = limit
        self._first = first
        self._window = window
        self._chance = chance
        self._ends: deque[float] = deque()

    def after(self, now: float) -> float | None:
        """How long to wait after an end; None: not again, it would only repeat itself."""
        self._ends.append(now)
        while self._ends[0] <= now - self._window:
            self._ends.popleft()
        if len(self._ends) >= self.limit:
            return None
        wait: float = self._first * 2 ** (len(self._ends) - 1)
        return wait * (0.75 + self._chance() / 2)

    def forget(self) -> None:
        """Begin anew: somebody has changed something."""
        self._ends.clear()
