"""What changed in a registry, numbered. A reader holds a position, never a queue."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

__all__ = ["Change", "Changes"]

_KEPT = 4096


class Change(NamedTuple):
    """One change. `event` is joined, changed, left, or reset: then the reader has missed something and asks anew."""

    id: str
    event: str
    agent: dict[str, Any] | None


class Changes:
    """The last changes. Their numbers begin anew with the process, so each carries the name of its time."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._last = 0
        self._kept: deque[Change] = deque(maxlen=_KEPT)
        self._news = asyncio.Event()
        self._closed = False

    def add(self, event: str, agent: dict[str, Any]) -> None:
        """Tell everybody."""
        self._last += 1
        self._kept.append(Change(self._id(self._last), event, agent))
        self._wake()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def read(self, after: str | None) -> AsyncGenerator[Change]:
        """The changes behind the one with the id `after`, and those to come. Whoever begins is told to reset."""
        position = self._place(after)
        while not self._closed:
            news = self._news
            oldest = self._last - len(self._kept)  # the number before the first one that is kept
            if position < oldest:
                position = self._last
                yield Change(self._id(position), "reset", None)
            elif position < self._last:
                position += 1
                yield self._kept[position - 1 - oldest]
            else:
                await news.wait()

    def _place(self, after: str | None) -> int:
        epoch, _, number = (after or "").partition("-")
        known = epoch == self._epoch and number.isdecimal() and len(number) < 16
        return min(int(number), self._last) if known else -1

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"
