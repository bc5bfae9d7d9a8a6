"""What an agent remembers: of one caller, and in one conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from codin.memory._blobs import Blobs
from codin.memory._history import History, Summarise
from codin.memory._limits import MemoryLimits
from codin.memory._notes import Notes
from codin.memory._protocol import MemoryBackend, Scope, Stats
from codin.memory._records import Records
from codin.memory.embedders._protocol import Embedder

__all__ = ["Memory", "backend_of"]


class Memory:
    """A memory, seen by one agent for one of its callers. What others have is not there.

    Args:
        backend: where it is kept, as `open_memory` gives it.
        scope: whose it is.
        context_id: the conversation whose history it has.
        embedder: makes vectors of records and queries; without one, records are found by their words.
        limits: of what is kept.
        summarise: makes one text of a conversation's beginning when it has grown long.
        ready: is awaited before the history is read.

    Attributes:
        history: what was said in this conversation.
        notes: values by keys.
        records: texts that can be searched.
        blobs: bytes by keys, several of which are kept at once.

    Example:
        @agent
        async def clerk(text: str, task: Task) -> str:
            memory = task.use(Memory)
            await memory.notes.set("last", text)
            ...
    """

    def __init__(
        self,
        backend: MemoryBackend,
        scope: Scope,
        *,
        context_id: str = "",
        embedder: Embedder | None = None,
        limits: MemoryLimits | None = None,
        summarise: Summarise | None = None,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        limits = limits or MemoryLimits()
        self._backend = backend
        self._embedder = embedder
        self._limits = limits
        self._context_id = context_id
        self.scope: Scope = scope
        self.history: History = History(backend, scope, context_id, limits, summarise, ready)
        self.notes: Notes = Notes(backend, scope, context_id, limits)
        self.records: Records = Records(backend, scope, embedder, limits)
        self.blobs: Blobs = Blobs(backend, scope, limits)

    @property
    def shared(self) -> Memory:
        """What all callers of this agent share: what is written here, each of them can be told."""
        return self._of(Scope(self.scope.tenant, self.scope.agent))

    def _of(self, scope: Scope) -> Memory:
        return Memory(self._backend, scope, context_id=self._context_id, embedder=self._embedder, limits=self._limits)

    async def forget(self) -> int:
        """Erase all of this scope: every history, notes, records, blobs. Gives how many things there were."""
        return await self._backend.forget(*self.scope)

    async def stats(self) -> Stats:
        """How much there is."""
        return await self._backend.stats(*self.scope)


def backend_of(memory: Memory) -> MemoryBackend:
    """Where a memory is kept. No agent gets this: it leads to every scope."""
    return memory._backend  # pyright: ignore[reportPrivateUsage] - of this module
