"""What has been said in each context, from one task to the next."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from pydantic_ai import ModelMessage, ModelMessagesTypeAdapter

__all__ = ["History", "MemoryHistory", "SqliteHistory"]

_TABLE = """
CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, thread TEXT NOT NULL, messages BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS turns_of_thread ON turns (thread, number);
"""


class History(Protocol):
    """Keeps the messages of the tasks that completed, by thread: one thread for each context of each caller.

    Turns of one context never overlap, so neither do the calls for one thread.
    """

    async def load(self, thread: str) -> Sequence[ModelMessage]:
        """All messages of a thread, the oldest first; none for a thread that is not known."""
        ...

    async def append(self, thread: str, messages: Sequence[ModelMessage]) -> None:
        """Add the messages of one more task."""
        ...


class MemoryHistory:
    """In this process, and gone with it.

    Args:
        threads: how many are kept; the one that was silent for the longest time goes first.
    """

    def __init__(self, threads: int = 1000) -> None:
        self._limit = threads
        self._threads: OrderedDict[str, list[ModelMessage]] = OrderedDict()

    async def load(self, thread: str) -> Sequence[ModelMessage]:
        return list(self._threads.get(thread, ()))

    async def append(self, thread: str, messages: Sequence[ModelMessage]) -> None:
        self._threads.setdefault(thread, []).extend(messages)
        self._threads.move_to_end(thread)
        if len(self._threads) > self._limit:
            self._threads.popitem(last=False)


class SqliteHistory:
    """In an SQLite file, which survives the process.

    Args:
        path: of the file; it is made when it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def load(self, thread: str) -> Sequence[ModelMessage]:
        return await asyncio.to_thread(self._load, thread)

    async def append(self, thread: str, messages: Sequence[ModelMessage]) -> None:
        await asyncio.to_thread(self._append, thread, ModelMessagesTypeAdapter.dump_json(list(messages)))

    def _load(self, thread: str) -> list[ModelMessage]:
        with closing(self._open()) as file:
            turns = file.execute("SELECT messages FROM turns WHERE thread = ? ORDER BY number", (thread,)).fetchall()
        return [message for (turn,) in turns for message in ModelMessagesTypeAdapter.validate_json(turn)]

    def _append(self, thread: str, messages: bytes) -> None:
        with closing(self._open()) as file, file:
            file.execute("INSERT INTO turns (thread, messages) VALUES (?, ?)", (thread, messages))

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self._path)
        file.executescript(_TABLE)
        return file
