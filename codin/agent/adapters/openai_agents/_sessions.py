"""What has been said in each context, from one task to the next."""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agents import Session, TResponseInputItem

__all__ = ["Sessions"]

_KEPT_IN_MEMORY = 1000


class Sessions:
    """The items of the tasks that completed, by thread.

    A run is handed the items, not the session: the SDK would write to it from the first moment on, and a task that is
    canceled, fails or waits for an answer would leave half a turn behind.

    Args:
        factory: gives the session with an id; without, items are kept in memory, and the thread that was silent for
            the longest time goes first.
    """

    def __init__(self, factory: Callable[[str], Session] | None) -> None:
        self._factory = factory
        self._items: OrderedDict[str, list[TResponseInputItem]] = OrderedDict()

    @property
    def lasting(self) -> bool:
        """Whether somebody else keeps the items."""
        return self._factory is not None

    async def load(self, thread: str) -> list[TResponseInputItem]:
        """All items, the oldest first."""
        if self._factory is None:
            return list(self._items.get(thread, ()))
        async with self._open(self._factory, thread) as session:
            return await session.get_items()

    async def append(self, thread: str, items: Sequence[TResponseInputItem]) -> None:
        """Add the items of one more task."""
        if self._factory is not None:
            async with self._open(self._factory, thread) as session:
                await session.add_items(list(items))
            return
        self._items.setdefault(thread, []).extend(items)
        self._items.move_to_end(thread)
        if len(self._items) > _KEPT_IN_MEMORY:
            self._items.popitem(last=False)

    @asynccontextmanager
    async def _open(self, factory: Callable[[str], Session], thread: str) -> AsyncGenerator[Session]:
        session = await asyncio.to_thread(factory, thread)  # opening a file blocks, and so does closing it
        try:
            yield session
        finally:
            close: Callable[[], Any] | None = getattr(session, "close", None)
            if close is not None and inspect.isawaitable(closing := await asyncio.to_thread(close)):
                await closing
