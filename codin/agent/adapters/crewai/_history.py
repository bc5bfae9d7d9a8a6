"""What has been said to an agent in each context. CrewAI keeps no conversations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

__all__ = ["History", "MemoryHistory", "Said"]

Said = dict[str, str]
"""A message as models take it: `{"role": "user" or "assistant", "content": …}`."""


class History(Protocol):
    """Keeps the messages of the tasks that completed, by thread: one thread for each context of each caller.

    Turns of one context never overlap, so neither do the calls for one thread.
    """

    async def load(self, thread: str) -> Sequence[Said]:
        """All messages of a thread, the oldest first; none for a thread that is not known."""
        ...

    async def append(self, thread: str, messages: Sequence[Said]) -> None:
        """Add the messages of one more task."""
        ...


class MemoryHistory:
    """In this process, and gone with it.

    Args:
        threads: how many are kept; the one that was silent for the longest time goes first.
    """

    def __init__(self, threads: int = 1000) -> None:
        self._limit = threads
        self._threads: OrderedDict[str, list[Said]] = OrderedDict()

    async def load(self, thread: str) -> Sequence[Said]:
        """All messages of a thread."""
        return list(self._threads.get(thread, ()))

    async def append(self, thread: str, messages: Sequence[Said]) -> None:
        """Add messages, and forget the thread that has been silent for the longest time."""
        self._threads.setdefault(thread, []).extend(messages)
        self._threads.move_to_end(thread)
        if len(self._threads) > self._limit:
            self._threads.popitem(last=False)
