"""Time that a test puts forward by hand, so that nothing in it depends on how fast the machine is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["Clock", "pass_time", "still", "turns"]


async def turns(count: int = 20) -> None:
    """Let the loop finish what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


class Clock:
    """The event loop's clock and the wall's, which stand still."""

    def __init__(self) -> None:
        self._begun, self._wall = asyncio.get_running_loop().time(), time.time()
        self._passed = 0.0

    def loop_time(self) -> float:
        return self._begun + self._passed

    def wall_time(self) -> float:
        return self._wall + self._passed

    async def advance(self, seconds: float) -> None:
        """Let time pass, and let what was due meanwhile happen."""
        self._passed += seconds
        await turns()


def pass_time(seconds: float) -> None:
    """Let so much time pass at once for the running event loop: what was to come meanwhile is due."""
    loop: Any = asyncio.get_running_loop()
    clock = loop.time
    loop.time = lambda: clock() + seconds


@contextmanager
def still() -> Generator[Clock]:
    """Time stands still within: a deadline comes when the test lets it come. Afterwards it goes on from there."""
    loop, clock, patch = asyncio.get_running_loop(), Clock(), pytest.MonkeyPatch()
    ticking = loop.time
    patch.setattr(loop, "time", clock.loop_time)
    try:
        with pytest.MonkeyPatch.context() as wall:
            wall.setattr(time, "time", clock.wall_time)
            yield clock
    finally:
        ahead = clock.loop_time() - ticking()
        patch.setattr(loop, "time", lambda: ticking() + ahead)  # not back: the loop has timers of what has passed
