"""Time, as the mesh asks for it."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Tells the time and waits; a test has one that does not wait."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float, /) -> None: ...


class SystemClock:
    """The machine's own."""

    now = staticmethod(monotonic)

    async def sleep(self, seconds: float, /) -> None:
        await anyio.sleep(seconds)
