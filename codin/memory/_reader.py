"""Writes down what is said in tasks: a reader of the store's feed, with a cursor of its own.

The feed is read at least once, and what was written down before is known by its task and number: so everything is
written down once, also after the process was killed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from codin.errors import MemoryFailed, StoreError
from codin.memory._limits import MemoryLimits
from codin.memory._protocol import MemoryBackend, Scope
from codin.memory._told import told_in
from codin.task import Commit, TaskStore

__all__ = ["LogReader"]

_logger = logging.getLogger("codin.memory")

_PAGE = 256
_PAUSES = (0.1, 0.5, 2.0, 10.0)  # seconds between tries while the memory, or the store, does not answer
_PATIENCE = 5.0  # seconds that somebody waits who wants to read what was just said


class LogReader:
    """Follows one task store into one memory.

    Args:
        store: is open as long as this reads.
        name: of the cursor: another reader of the same store has another one.
    """

    def __init__(self, store: TaskStore, backend: MemoryBackend, limits: MemoryLimits, *, name: str = "memory") -> None:
        self._store = store
        self._backend = backend
        self._limits = limits
        self._name = name
        self._waiting: list[asyncio.Future[None]] = []
        self._asked = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin where an earlier process was."""
        self._work = asyncio.get_running_loop().create_task(self._follow())

    async def caught_up(self) -> None:
        """Wait until all that is committed now is written down; some seconds at most, when the memory is slow."""
        if self._work is None or self._work.done():
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._asked.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, _PATIENCE)

    async def stop(self) -> None:
        """Catch up and stop."""
        if self._work is None:
            return
        await self.caught_up()
        self._work.cancel()
        await asyncio.wait([self._work])
        self._work = None

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                position = await self._store.cursor(self._name)
                while True:
                    position = await self._read_on(position)
                    failures = 0
            except (MemoryFailed, StoreError) as error:
                if not failures:
                    _logger.warning("what is said in tasks is not written down for now, and will be later: %s", error)
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    async def _read_on(self, position: int) -> int:
        """Write down one page of the feed; at its end, tell who waits, and wait for more."""
        waiting, self._waiting = self._waiting, []
        try:
            self._asked.clear()
            commits = await self._store.feed(position, _PAGE)
            for commit in commits:
                await self._write_down(commit)
            if commits:
                position = commits[-1].position
                await self._store.advance(self._name, position)
        except BaseException:
            self._waiting += waiting
            raise
        if len(commits) == _PAGE:
            self._waiting += waiting
            return position
        for one in waiting:
            if not one.done():
                one.set_result(None)
        if not commits:
            await self._more(position)
        return position

    async def _write_down(self, commit: Commit) -> None:
        told = await told_in(commit, self._store, self._limits)
        for start in range(0, len(told), self._limits.batch):
            page = told[start : start + self._limits.batch]
            await self._backend.append(Scope(*commit.owner), commit.context_id, page)

    async def _more(self, position: int) -> None:
        """Wait until the feed has more, or somebody asks."""
        changed = asyncio.ensure_future(self._store.changed(position))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait((changed, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            asked.cancel()
            await asyncio.gather(changed, asked, return_exceptions=True)
