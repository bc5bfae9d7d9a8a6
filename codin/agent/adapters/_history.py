"""What has been said in each context, for frameworks that keep no conversations themselves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ["ASKED", "SAID", "History", "MemoryHistory"]

# What an agent forgets with its process, as the log of a server has it.
ASKED = "what it has asked cannot be answered after a restart"
SAID = "what was said in a context is forgotten with a restart"

Message = TypeVar("Message")


class History(Protocol[Message]):
    """Keeps the messages of the tasks that completed, by thread: one thread for each context of each caller.

    What a message is, the framework says. Turns of one context never overlap, so neither do the calls for one thread.
    """

    async def load(self, thread: str) -> Sequence[Message]:
        """All messages of a thread, the oldest first; none for a thread that is not known."""
        ...

    async def append(self, thread: str, messages: Sequence[Message]) -> None:
        """Add the messages of one more task."""
        ...


class MemoryHistory(Generic[Message]):
    """A history in this process, gone with it.

    Args:
        threads: how many are kept; the one that was silent for the longest time goes first.
    """

    def __init__(self, threads: int = 1000) -> None:
        self._limit = threads
        self._threads: OrderedDict[str, list[Message]] = OrderedDict()

    async def load(self, thread: str) -> Sequence[Message]:
        return list(self._threads.get(thread, ()))

    async def append(self, thread: str, messages: Sequence[Message]) -> None:
        self._threads.setdefault(thread, []).extend(messages)
        self._threads.move_to_end(thread)
        if len(self._threads) > self._limit:
            self._threads.popitem(last=False)
