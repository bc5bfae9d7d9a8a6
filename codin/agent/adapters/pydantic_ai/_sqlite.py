"""Conversations in a file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pydantic_ai import ModelMessage, ModelMessagesTypeAdapter

__all__ = ["SqliteHistory"]

_TABLE = """
CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, thread TEXT NOT NULL, messages BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS turns_of_thread ON turns (thread, number);
"""


class SqliteHistory:
    """A history in an SQLite file, which survives the process.

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
