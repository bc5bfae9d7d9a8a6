"""A clock that does not wait."""

from __future__ import annotations

from anyio.lowlevel import checkpoint


class ManualClock:
    """Time goes on when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await checkpoint()
