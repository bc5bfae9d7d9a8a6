"""How many calls of one tool are under way, and how many have begun lately."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from codin.errors import ToolBusy
from codin.tool._protocol import ToolSpec

__all__ = ["Gate"]


class Gate:
    """Lets the calls of one tool in: `async with` holds a place, `turn` waits until another try may begin.

    A tool that goes on although its call has ended keeps the place of the call until it ends: it still does what the
    bound is there for, and such calls do not pile up.

    Args:
        wait: seconds that a call waits at most, for each of the two.
    """

    def __init__(self, name: str, spec: ToolSpec, wait: float) -> None:
        self._name = name
        self._wait = wait
        self._most = spec.concurrency
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._rate = spec.rate
        self._going_on = 0  # without a call
        self._kept = 0  # places of calls that end, for what goes on
        self._begun: deque[float] = deque()  # the last tries, by the loop's clock; those that wait have theirs ahead
        self._line: list[_Turn] = []  # who waits, in order

    async def __aenter__(self) -> None:
        places = self._places()
        if places is None:
            return
        try:
            async with asyncio.timeout(self._wait):
                await places.acquire()
        except TimeoutError:
            raise ToolBusy(
                f"{self._name!r} is called as often as it may be at once", tool=self._name, retryable=True
            ) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            self._kept -= 1
        else:
            self._release()

    @property
    def is_stuck(self) -> bool:
        """One goes on although its call has ended."""
        return self._going_on > 0

    def keep(self, going_on: asyncio.Task[Any]) -> None:
        """Keep the place of a call that is ending, until this ends."""
        self._going_on += 1
        self._kept += 1
        going_on.add_done_callback(self._let_go)

    def _let_go(self, ended: asyncio.Task[Any]) -> None:
        self._going_on -= 1
        self._release()

    def _release(self) -> None:
        places = self._places()
        if places is not None:
            places.release()

    def _places(self) -> asyncio.Semaphore | None:
        """Those of this event loop, as a program may run one after the other."""
        if self._most is None:
            return None
        loop = asyncio.get_running_loop()
        if (places := self._by_loop.get(loop)) is None:
            places = self._by_loop[loop] = asyncio.Semaphore(self._most)
        return places

    async def turn(self) -> None:
        """Wait until a try may begin.

        Raises:
            ToolBusy: that would take too long.
        """
        if self._rate is None:
            return
        most, seconds = self._rate
        now = asyncio.get_running_loop().time()
        while self._begun and self._begun[0] <= now - seconds:
            self._begun.popleft()
        begins = now if len(self._begun) < most else self._begun[-most] + seconds
        if begins - now > self._wait:
            raise ToolBusy(
                f"{self._name!r} may be called {most} times in {seconds:g} s",
                tool=self._name,
                retryable=True,
                hint=f"call it again in {begins - now:.0f} s",
            )
        self._begun.append(begins)
        if begins > now:
            await self._stand_in_line(_Turn(begins))

    async def _stand_in_line(self, turn: _Turn) -> None:
        self._line.append(turn)
        try:
            await turn.come()
        except asyncio.CancelledError:
            self._move_up(turn)
            raise
        finally:
            self._line.remove(turn)

    def _move_up(self, left: _Turn) -> None:
        """Those behind one that leaves begin when who was before them would have; the last one's time is free."""
        free = left.begins
        for turn in self._line[self._line.index(left) + 1 :]:
            turn.begins, free = free, turn.begins
            turn.moved.set()
        if free in self._begun:  # else it has come and gone
            self._begun.remove(free)


class _Turn:
    """When one that waits may begin, by the loop's clock."""

    def __init__(self, begins: float) -> None:
        self.begins = begins
        self.moved = asyncio.Event()

    async def come(self) -> None:
        loop = asyncio.get_running_loop()
        while self.begins > loop.time():
            self.moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self.begins):
                    await self.moved.wait()
