"""Who follows everything that happens in a store: a promise that is kept higher up."""

from __future__ import annotations

from typing import Protocol

from codin.task._protocol import TaskStore

__all__ = ["Follower"]


class Follower(Protocol):
    """Reads the feed of a store, with a cursor of its own, as long as managers use the store."""

    async def follow(self, store: TaskStore, /) -> None:
        """Begin, where nobody has yet. The store is open. What it raises, the start of the manager raises."""
        ...

    async def unfollow(self) -> None:
        """Finish, when everybody has said it who had said `follow`."""
        ...
