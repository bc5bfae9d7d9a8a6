"""The memories of a server or a program: one back-end, one embedder, and a view for each agent and caller."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, cast

from codin.memory._asked import text
from codin.memory._history import Summarise
from codin.memory._limits import MemoryLimits
from codin.memory._memory import Memory
from codin.memory._open import open_memory
from codin.memory._protocol import MemoryBackend, Scope
from codin.memory._reader import LogReader
from codin.memory.embedders import Embedder, HashingEmbedder
from codin.task import Task, TaskStore

__all__ = ["Memories"]


class Memories:
    """Opens a memory, and gives each agent its own view of each of its callers.

    Args:
        place: where they are kept, as `open_memory` takes it, or a back-end.
        embedder: makes vectors of records and queries; None finds records by their words alone.
        summarise: when and how the beginning of a long conversation becomes one text.
        limits: of what is kept.

    Example:
        async with Memories("sqlite:///memory.db") as memories:
            memory = memories.of(agent="clerk", caller="ada")
            await memory.records.add("Ada takes no milk.")
            print([hit.text for hit in await memory.records.search("milk?")])
    """

    def __init__(
        self,
        place: MemoryBackend | str,
        *,
        embedder: Embedder | None = HashingEmbedder(),  # noqa: B008  # it has no state
        summarise: Summarise | None = None,
        limits: MemoryLimits | None = None,
    ) -> None:
        self.backend: MemoryBackend = (
            open_memory(cast(str, place)) if isinstance(place, str) or not hasattr(place, "durable") else place
        )
        self._embedder = embedder
        self._summarise = summarise
        self._limits = limits or MemoryLimits()
        self._reader: LogReader | None = None
        self._followed = 0
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        await self.backend.open()
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that they were opened on, and that their calls belong to; None while they are closed."""
        return self._loop

    def of(self, *, tenant: str = "", agent: str = "", caller: str = "", context_id: str = "") -> Memory:
        """What an agent has of one caller. Without a caller, what all of its callers share."""
        names = {"tenant": tenant, "agent": agent, "caller": caller}
        return self._view(Scope(*(text(*name) for name in names.items())), text("context_id", context_id))

    def in_task(self, task: Task) -> Memory:
        """What `task.use(Memory)` gives: the memory of the agent, the caller and the conversation of a task."""
        return self._view(Scope(*task.owner), task.context_id)

    async def follow(self, store: TaskStore, /) -> None:
        """From now on write down what is said in the tasks of a store, which is open.

        Raises:
            MemoryFailed: the memory cannot be opened.
        """
        self._followed += 1
        async with self._opening:
            if self._reader is None:
                try:
                    await self.backend.open()
                except BaseException:
                    self._followed -= 1
                    raise
                self._loop = asyncio.get_running_loop()
                self._reader = LogReader(store, self.backend, self._limits)
                self._reader.start()

    async def unfollow(self) -> None:
        """Write down what has been said until now, and let go, when everybody has who follows."""
        self._followed -= 1
        async with self._opening:
            if self._reader is not None and not self._followed:
                reader, self._reader = self._reader, None
                await reader.stop()
                await self.close()

    async def close(self) -> None:
        """Let go."""
        self._loop = None
        await self.backend.close()

    async def caught_up(self) -> None:
        """Wait until what has been said until now is written down."""
        if self._reader is not None:
            await self._reader.caught_up()

    def _view(self, scope: Scope, context_id: str) -> Memory:
        return Memory(
            self.backend,
            scope,
            context_id=context_id,
            embedder=self._embedder,
            limits=self._limits,
            summarise=self._summarise,
            ready=self.caught_up,
        )
