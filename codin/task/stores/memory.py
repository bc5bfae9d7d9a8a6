"""Task logs in memory: fast, bounded, gone with the process."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from codin import a2a
from codin.errors import Conflict
from codin.task._entry import Entry
from codin.task._fold import Fold
from codin.task._protocol import Claim, Commit, Lease, ListQuery, Owner, Page, Stored
from codin.task.stores._leases import Leases

__all__ = ["MemoryStore"]


class _Record:
    __slots__ = ("changed", "claims", "commit", "entries", "fold", "last", "owner", "state", "trimmed")

    def __init__(self, commit: Commit) -> None:
        self.owner = commit.owner
        self.commit = commit  # the newest one: it knows the ids
        self.entries: list[Entry] = []
        self.fold: Fold | None = None
        self.claims: list[str] = []
        self.last = 0
        self.trimmed = 0
        self.state = commit.state
        self.changed = 0


class MemoryStore:
    """Keeps everything of tasks that have not ended, and the newest `max_ended` of those that have.

    Args:
        max_ended: how many ended tasks are kept; the oldest go first, with their part of the feed.
    """

    durable = False

    def __init__(self, max_ended: int = 10_000) -> None:
        self._max_ended = max_ended
        self._records: dict[str, _Record] = {}
        self._ended: deque[str] = deque()
        self._by_owner: dict[Owner, dict[str, None]] = {}
        self._claims: dict[tuple[Owner, str], Claim] = {}
        self._feed: deque[Commit] = deque()
        self._position = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._cursors: dict[str, int] = {}
        self._leases = Leases()

    async def open(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        """Nothing to let go."""

    def lease(self, owner: Owner, context_id: str, holder: str) -> Lease:
        """Take the turn lock of a context."""
        return self._leases.take(owner, context_id, holder)

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give the turn lock back."""
        self._leases.release(owner, lease)

    def append(self, commit: Commit) -> int:
        """Append all entries or none. Raises Conflict, LeaseLost."""
        self._leases.check(commit.owner, commit.lease)
        record = self._records.get(commit.task_id)
        last = 0 if record is None else record.last
        if last != commit.expected or (record is not None and record.owner != commit.owner):
            raise Conflict(f"task {commit.task_id!r} is at entry {last}, the writer expected {commit.expected}")
        claim = commit.claim
        if claim is not None and (commit.owner, claim.key) in self._claims:
            raise Conflict(f"idempotency key {claim.key!r} is taken")
        if record is None:
            record = self._records[commit.task_id] = _Record(commit)
            mine = self._by_owner.get(commit.owner)
            if mine is None:
                mine = self._by_owner[commit.owner] = {}
            mine[commit.task_id] = None
        if claim is not None:
            self._claims[commit.owner, claim.key] = claim
            record.claims.append(claim.key)
        record.commit = commit
        record.entries += commit.entries
        record.last = commit.entries[-1].number
        record.state = commit.state
        record.changed = commit.changed
        if commit.fold is not None:
            record.fold, commit.fold = commit.fold, None
        self._position += 1
        commit.position = self._position
        self._feed.append(commit)
        if commit.state.terminal:
            self._ended.append(commit.task_id)
            if len(self._ended) > self._max_ended:
                self._evict(self._ended.popleft())
        if self._waiting:
            self._wake()
        return self._position

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _evict(self, task_id: str) -> None:
        record = self._records.pop(task_id, None)
        if record is None:
            return
        mine = self._by_owner[record.owner]
        del mine[task_id]
        if not mine:
            del self._by_owner[record.owner]
        for key in record.claims:
            del self._claims[record.owner, key]
        feed = self._feed
        while feed and feed[0].task_id not in self._records:
            feed.popleft()

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        """The newest fold and the entries behind it."""
        record = self._records.get(task_id)
        if record is None or record.owner != owner:
            return None
        context_id = record.commit.context_id
        fold = record.fold or Fold(task_id, context_id)
        tail = record.entries[bisect_right(record.entries, fold.last, key=_number) :]
        return Stored(owner, task_id, context_id, fold, tail, record.state, record.changed, record.trimmed)

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        """The entries above `after` that are still kept."""
        record = self._records.get(task_id)
        if record is None or record.owner != owner:
            return []
        return record.entries[bisect_right(record.entries, after, key=_number) :]

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        """One page of this owner's tasks, newest status first."""
        matching: list[tuple[int, str]] = []
        for task_id in self._by_owner.get(owner, ()):
            record = self._records[task_id]
            if query.context_id is not None and record.commit.context_id != query.context_id:
                continue
            if query.state is not None and record.state is not query.state:
                continue
            if query.changed_after is not None and record.changed <= query.changed_after:
                continue
            matching.append((record.changed, task_id))
        matching.sort(reverse=True)
        start = 0
        if query.before is not None:
            start = next((i for i, item in enumerate(matching) if item < query.before), len(matching))
        page = matching[start : start + query.page_size]
        return Page(page, len(matching), start + len(page) < len(matching))

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        """What an idempotency key was used for."""
        return self._claims.get((owner, key))

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        """The tasks of one agent that are not terminal, oldest first."""
        return [
            (record.owner, task_id, record.state)
            for task_id, record in self._records.items()
            if record.owner.agent == agent and not record.state.terminal
        ]

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        """The commits above `after`."""
        start = bisect_right(self._feed, after, key=lambda commit: commit.position)
        return [self._feed[i] for i in range(start, min(start + limit, len(self._feed)))]

    async def changed(self, after: int) -> None:
        """Wait until the feed has something above `after`."""
        while self._position <= after:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    async def cursor(self, consumer: str) -> int:
        """How far a consumer of the feed has come."""
        return self._cursors.get(consumer, 0)

    async def advance(self, consumer: str, position: int) -> None:
        """Store a consumer's cursor."""
        self._cursors[consumer] = max(position, self._cursors.get(consumer, 0))

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        """Retention of ended tasks."""
        for task_id in [t for t in self._ended if self._records[t].changed < tasks_before]:
            self._ended.remove(task_id)
            self._evict(task_id)
        for task_id in self._ended:
            record = self._records[task_id]
            if record.changed < chunks_before and record.trimmed < record.last:
                record.entries = [entry for entry in record.entries if entry.kind != "artifact"]
                record.trimmed = record.last


def _number(entry: Entry) -> int:
    return entry.number
