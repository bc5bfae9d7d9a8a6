"""A memory in one SQLite file: durable, searched beside the event loop, open in as many processes as want it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVarTuple

from codin.errors import ConfigError
from codin.memory._filter import Condition
from codin.memory._protocol import Found, Indexed, Note, Record, Scope, Stats, Summary, Utterance, Vector
from codin.memory.backends._not_open import not_open
from codin.memory.backends._sqlite import blobs as shelf_rows
from codin.memory.backends._sqlite import erasure, history
from codin.memory.backends._sqlite import records as rows
from codin.memory.backends._sqlite.file import MemoryFile

if TYPE_CHECKING:
    import sqlite3

    from codin.memory.backends._sqlite.vectors import Codes

__all__ = ["SQLiteMemory"]

_A = TypeVarTuple("_A")

_SMALL: Final = 8, 8192
"""Rows, and letters or bytes in all, that may be written on the event loop: some hundred microseconds."""
_PAGES: Final = 500
"""Of the index of words, that are merged between two other writes."""


class SQLiteMemory:
    """Vectors need NumPy: `pip install 'codin[memory]'`. All else needs nothing.

    Args:
        path: the file.
        synchronous: "normal" keeps what was acknowledged when the process dies, however it dies; "full" also when
            the machine loses power.

    Raises:
        ConfigError: there is no path, or no such level.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str], *, synchronous: str = "normal") -> None:
        name = os.fspath(path)
        if not name or name == ":memory:":
            raise ConfigError("a SQLite memory needs a file", hint="sqlite:///memory.db, or memory:// to keep nothing")
        if synchronous not in ("normal", "full"):
            raise ConfigError(f"synchronous={synchronous!r} is not known", hint="normal or full")
        self._path = Path(name)
        self._synchronous = synchronous
        self._file: MemoryFile | None = None
        self._opening = threading.Lock()
        self._coming = 0  # who is opening it now
        self._is_open = False
        self._codes: Codes | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, and bring it to the shape that this code knows.

        Raises:
            MemoryUnavailable: it cannot be opened.
            MemoryFailed: it is no database, another program's, or a newer codin's.
        """
        self._coming += 1
        try:
            await asyncio.to_thread(self._ready, asyncio.get_running_loop())
            self._is_open = True
        finally:
            self._coming -= 1
            if not self._is_open:
                await asyncio.to_thread(self._undone)  # who is called off leaves a thread that opens it

    def _ready(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._opening:
            if self._file is None and self._coming:
                self._file = MemoryFile(self._path.resolve(), self._synchronous, loop)

    def _undone(self) -> None:
        with self._opening:
            if self._file is not None and not self._coming and not self._is_open:
                file, self._file = self._file, None
                file.close()

    async def close(self) -> None:
        file, self._file = self._file, None
        self._is_open = False
        self._codes = None
        if file is not None:
            await asyncio.to_thread(file.close)

    def _opened(self) -> MemoryFile:
        if self._file is None:
            raise not_open()
        return self._file

    # -- conversations and notes ---------------------------------------------------------------------------------------

    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        plain = not any(one.parts or one.metadata for one in utterances)
        if plain and _is_small([len(one.text) for one in utterances]):
            return await self._opened().write_small(history.append, scope, context_id, utterances)
        return await self._opened().write(history.append, scope, context_id, utterances)

    async def window(
        self, scope: Scope, context_id: str, *, limit: int, after: int = 0, oldest: bool = False
    ) -> Sequence[Utterance]:
        return await self._opened().read(history.window, scope, context_id, limit, after, oldest)

    async def summary(self, scope: Scope, context_id: str) -> Summary | None:
        return await self._opened().read(history.summary, scope, context_id)

    async def summarise(self, scope: Scope, context_id: str, summary: Summary) -> None:
        await self._opened().write(history.summarise, scope, context_id, summary)

    async def note(self, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
        return await self._opened().read(history.note, scope, context_id, key, now)

    async def put_note(self, scope: Scope, context_id: str, note: Note) -> None:
        await self._opened().write(history.put_note, scope, context_id, note)

    async def drop_note(self, scope: Scope, context_id: str, key: str) -> bool:
        return await self._opened().write(history.drop_note, scope, context_id, key)

    async def notes(
        self, scope: Scope, context_id: str, now: int, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Note]:
        return await self._opened().read(history.notes, scope, context_id, now, prefix, after, limit)

    # -- blobs ---------------------------------------------------------------------------------------------------------

    async def put_blobs(
        self, scope: Scope, shelf: str, blobs: Mapping[str, bytes], *, at: int, replace: bool = True
    ) -> None:
        file = self._opened()
        write = file.write_small if _is_small([len(value) for value in blobs.values()]) else file.write
        await write(shelf_rows.put, scope, shelf, blobs, at, replace)

    async def blobs(self, scope: Scope, shelf: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        return await self._opened().read(shelf_rows.blobs, scope, shelf, keys)

    async def blob_keys(
        self, scope: Scope, shelf: str, *, prefix: str = "", before: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        return await self._opened().read(shelf_rows.keys, scope, shelf, prefix, before, limit)

    async def drop_blobs(self, scope: Scope, shelf: str, keys: Sequence[str] | None = None) -> int:
        return await self._opened().write(shelf_rows.drop, scope, shelf, keys)

    async def shelves(self, scope: Scope, *, after: str = "", limit: int = 100) -> Sequence[str]:
        return await self._opened().read(shelf_rows.shelves, scope, after, limit)

    # -- records -------------------------------------------------------------------------------------------------------

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        file = self._opened()
        await file.write(rows.add, scope, await file.beside(self._prepared, records))

    def _prepared(self, records: Sequence[Indexed]) -> list[rows.Prepared]:
        codes = [b""] * len(records)
        if any(one.vector is not None for one in records):
            codes = self._vectors().of(records)
        return [rows.prepared(one, code) for one, code in zip(records, codes, strict=True)]

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        return await self._opened().write(rows.delete, scope, ids)

    async def records(
        self, scope: Scope, *, where: Sequence[Condition] = (), after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        return await self._opened().read(rows.records, scope, where, after, limit)

    async def nearest(
        self, scopes: Sequence[Scope], space: str, vector: Vector, *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        return await self._opened().read(self._vectors().nearest, scopes, space, vector, where, limit)

    def _vectors(self) -> Codes:
        if self._codes is None:
            try:
                from codin.memory.backends._sqlite.vectors import Codes
            except ImportError as error:
                raise ConfigError("vectors in SQLite need NumPy", hint="pip install 'codin[memory]'") from error
            self._codes = Codes()
        return self._codes

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        return await self._opened().read(rows.matching, scopes, terms, where, limit)

    # -- erasure and counts --------------------------------------------------------------------------------------------

    async def forget(self, tenant: str, agent: str | None = None, caller: str | None = None) -> int:
        """Erase it, and then write the file anew: SQLite leaves copies of rows in pages that it has divided.

        That takes as long as a copy of the file, and twice its room for that time; whoever wants to write waits.

        Raises:
            MemoryUnavailable: it is erased, but somebody reads the log for so long that its bytes are there still.
        """
        file = self._opened()
        gone = await self._all(erasure.forget, tenant, agent, caller)
        if stale := await file.read(erasure.stale):
            more = await file.write(erasure.merge, -_PAGES)
            while more:
                more = await file.write(erasure.merge, _PAGES)
            await file.rewrite()
            await file.write(erasure.clean, stale)
        await file.empty_log()
        return gone

    async def trim(self, *, before: int, now: int) -> int:
        """Erase it. The last traces leave the index, the log and the file as writing goes on, or with `forget`."""
        return await self._all(erasure.trim, before, now)

    async def _all(self, step: Callable[[sqlite3.Connection, *_A], tuple[int, bool]], *arguments: *_A) -> int:
        """Do a work in transactions between which others write."""
        gone, more = 0, True
        while more:
            some, more = await self._opened().write(step, *arguments)
            gone += some
        return gone

    async def scopes(
        self,
        tenant: str | None = None,
        agent: str | None = None,
        caller: str | None = None,
        *,
        after: Scope | None = None,
        limit: int = 100,
    ) -> Sequence[Scope]:
        return await self._opened().read(erasure.known, tenant, agent, caller, after, limit)

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        return await self._opened().read(erasure.stats, tenant, agent, caller)


def _is_small(sizes: Sequence[int]) -> bool:
    rows, size = _SMALL
    return len(sizes) <= rows and sum(sizes) <= size
