"""What the task manager needs of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from codin import a2a

if TYPE_CHECKING:
    from codin.task._entry import Entry
    from codin.task._fold import Fold

__all__ = [
    "Claim",
    "Commit",
    "Lease",
    "ListQuery",
    "Owner",
    "Page",
    "Stored",
    "TaskStore",
]


class Owner(NamedTuple):
    """Whose tasks: every store method starts with it, so that another owner's task is an unknown one."""

    tenant: str
    agent: str
    caller: str


class Lease:
    """The right to append to the tasks of one turn lock. A later holder has a higher fence; an older one is refused.

    Attributes:
        fence: 0 is nobody's.
        lost: set by a store that knows that somebody else has taken the lock over.
    """

    __slots__ = ("context_id", "fence", "holder", "lost")

    def __init__(self, context_id: str, holder: str, fence: int) -> None:
        self.context_id: str = context_id
        self.holder: str = holder
        self.fence: int = fence
        self.lost: bool = fence == 0


NO_LEASE = Lease("", "", 0)
"""Nobody's."""


class Claim(NamedTuple):
    """An `Idempotency-Key`, the digest of the canonical params it came with, and the turn it made."""

    key: str
    digest: str
    task_id: str
    number: int


@dataclass(slots=True)
class Commit:
    """What is appended to one task in one transaction, and afterwards one item of the feed.

    Attributes:
        expected: the last number the writer knows; another one in the store is a conflict.
        fold: the folded task, given when the last status entry is interrupted or terminal. It is the log's own
            and stays as it is until the commit is done: a store that keeps it has to encode it by then.
        claim: the idempotency key that this commit takes, with a submit.
        position: global, in the order of commits; set by the store.
    """

    owner: Owner
    task_id: str
    context_id: str
    expected: int
    entries: Sequence[Entry]
    lease: Lease
    state: a2a.TaskState
    changed: int
    fold: Fold | None = None
    claim: Claim | None = None
    position: int = 0


@dataclass(slots=True)
class Stored:
    """A task as the store has it: the newest stored fold, and the entries behind it."""

    owner: Owner
    task_id: str
    context_id: str
    fold: Fold
    tail: Sequence[Entry]
    state: a2a.TaskState
    changed: int
    trimmed: int = 0
    """Chunk entries up to this number may be gone."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list. Spec 3.1.4. `before` is (changed, task id) of the last task of the page before."""

    context_id: str | None = None
    state: a2a.TaskState | None = None
    changed_after: int | None = None
    page_size: int = 50
    before: tuple[int, str] | None = None


class Page(NamedTuple):
    """Task ids with the time of their last status, newest first; how many over all pages; whether more come."""

    tasks: list[tuple[int, str]]
    total: int
    more: bool


class TaskStore(Protocol):
    """Where logs are kept. One suite of laws holds for every implementation.

    `append` and `lease` answer at once where the store is memory, and with a future where it is not; the hot path pays
    for waiting only when there is something to wait for. Reads never run on the event loop.
    """

    durable: bool
    """Whether what is committed outlives the process."""

    async def open(self) -> None:
        """Get ready, and apply migrations. Raises StoreInUse when another process holds a store that takes only one."""
        ...

    async def close(self) -> None:
        """Finish what is queued and let go."""
        ...

    def append(self, commit: Commit) -> int | asyncio.Future[int]:
        """Append all entries or none, and give the position.

        Raises:
            Conflict: the task's last number is not `commit.expected`, or its key is taken.
            LeaseLost: a later holder has the lease.
        """
        ...

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease | asyncio.Future[Lease]:
        """Take the turn lock of a context for `holder`."""
        ...

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give the turn lock back."""
        ...

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        """The newest fold and the entries behind it; None when this owner has no such task."""
        ...

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        """The entries with numbers above `after` that are still kept, in order."""
        ...

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        """One page of this owner's tasks, newest status first; the id decides between equal times."""
        ...

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        """What an idempotency key was used for."""
        ...

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        """The tasks of one agent that are not terminal, oldest first: what recovery looks at."""
        ...

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        """The commits with positions above `after`, in order. Their `fold` is not kept."""
        ...

    async def changed(self, after: int) -> None:
        """Wait until the feed has something above `after`."""
        ...

    async def cursor(self, consumer: str) -> int:
        """How far a consumer of the feed has come; 0 for a new one."""
        ...

    async def advance(self, consumer: str, position: int) -> None:
        """Store a consumer's cursor. A cursor never goes back."""
        ...

    async def cursors(self, prefix: str) -> Sequence[tuple[str, int]]:
        """The consumers whose names begin so, and how far each has come."""
        ...

    async def forget(self, consumer: str) -> None:
        """Drop a consumer's cursor."""
        ...

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        """Retention: drop artifact entries of tasks that ended before one time, and tasks that ended before another.

        Args:
            chunks_before: milliseconds since 1970.
            tasks_before: milliseconds since 1970.
        """
        ...
