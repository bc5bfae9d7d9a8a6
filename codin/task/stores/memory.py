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
from codin.task._protocol import NO_LEASE, Claim, Commit, Lease, ListQuery, Owner, Page, Stored
from codin.task.stores._leases import Leases, check_lease
from codin.task.stores._packed import PackedTask, fold_of, unpack_entries

__all__ = ["MemoryStore"]


class _Record:
    """A task that has not ended."""

    __slots__ = ("changed", "claims", "context_id", "entries", "fold", "last", "owned", "state")

    def __init__(self, owned: _Owned, begun: Commit) -> None:
        self.owned = owned
        self.context_id = begun.context_id
        self.entries: list[Entry] = []
        self.fold: Fold | None = None
        self.claims: list[str] = []
        self.last = 0
        self.state = begun.state
        self.changed = begun.changed


class _Owned:
    """What one owner has. The number stands for the owner in packed tasks."""

    __slots__ = ("claims", "number", "owner", "tasks")

    def __init__(self, owner: Owner, number: int) -> None:
        self.owner = owner
        self.number = number
        self.tasks: dict[str, None] = {}
        self.claims: dict[str, tuple[str, str, int]] = {}


class MemoryStore:
    """Keeps everything of tasks that have not ended, and the newest `max_ended` of those that have.

    Args:
        max_ended: how many ended tasks are kept; the oldest go first, with their part of the feed.
    """

    durable = False

    def __init__(self, max_ended: int = 10_000) -> None:
        self._max_ended = max_ended
        self._live: dict[str, _Record] = {}
        self._ended: dict[str, PackedTask] = {}
        self._order: deque[str] = deque()  # in which they ended; the front of a dict is slow to find
        self._owned: dict[Owner, _Owned] = {}
        self._by_number: dict[int, _Owned] = {}
        self._owners = 0
        self._feed: deque[tuple[int, str, int, int, str, int]] = deque()  # position, task, first, last, state, changed
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
        check_lease(commit.lease)
        task_id, state = commit.task_id, commit.state
        record = self._live.get(task_id)
        if record is None:
            if task_id in self._ended:
                return self._append_to_ended(commit)
            if commit.expected:
                raise _unfit(commit, 0)
            record = _Record(self._mine(commit.owner), commit)
        elif record.last != commit.expected or record.owned.owner != commit.owner:
            raise _unfit(commit, record.last)
        if commit.claim is not None:
            self._claim(record, commit.claim)
        before = record.last
        if not before:
            self._live[task_id] = record
            record.owned.tasks[task_id] = None
        record.entries += commit.entries
        record.last = last = commit.entries[-1].number
        record.state = state
        record.changed = commit.changed
        self._position += 1
        commit.position = self._position
        self._feed.append((self._position, task_id, before + 1, last, str(state), commit.changed))
        if commit.fold is not None:
            record.fold = commit.fold
            if state.terminal:
                self._end(task_id, record, commit.fold)
        if self._waiting:
            self._wake()
        return self._position

    def _claim(self, record: _Record, claim: Claim) -> None:
        key, digest, task_id, number = claim
        claims = record.owned.claims
        if key in claims:
            raise Conflict(f"idempotency key {key!r} is taken")
        claims[key] = (digest, task_id, number)
        record.claims.append(key)

    def _append_to_ended(self, commit: Commit) -> int:
        """What is private may come after the end."""
        number, changed, state, context_id, trimmed, last, fold, entries, claims = self._ended[commit.task_id]
        if last != commit.expected or self._by_number[number].owner != commit.owner:
            raise _unfit(commit, last)
        entries += tuple([entry.pack() for entry in commit.entries])
        now = commit.entries[-1].number
        self._ended[commit.task_id] = (number, changed, state, context_id, trimmed, now, fold, entries, claims)
        self._position += 1
        commit.position = self._position
        self._feed.append((self._position, commit.task_id, last + 1, now, state, changed))
        self._wake()
        return self._position

    def _mine(self, owner: Owner) -> _Owned:
        mine = self._owned.get(owner)
        if mine is None:
            self._owners += 1
            mine = self._owned[owner] = self._by_number[self._owners] = _Owned(owner, self._owners)
        return mine

    def _end(self, task_id: str, record: _Record, fold: Fold) -> None:
        del self._live[task_id]
        self._ended[task_id] = (
            record.owned.number, record.changed, str(record.state), record.context_id, 0, fold.last, fold.to_json(),
            tuple([entry.pack() for entry in record.entries]), tuple(record.claims),
        )  # fmt: skip
        self._order.append(task_id)
        if len(self._order) > self._max_ended:
            self._evict(self._order.popleft())

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _evict(self, task_id: str) -> None:
        packed = self._ended.pop(task_id)
        mine = self._by_number[packed[0]]
        del mine.tasks[task_id]
        for key in packed[8]:
            del mine.claims[key]
        if not mine.tasks:
            del self._owned[mine.owner], self._by_number[mine.number]
        feed = self._feed
        while feed and feed[0][1] not in self._live and feed[0][1] not in self._ended:
            feed.popleft()

    async def load(self, owner: Owner, task_id: str) -> Stored | None:
        """The newest fold and the entries behind it."""
        mine = self._owned.get(owner)
        if mine is None or task_id not in mine.tasks:
            return None
        record = self._live.get(task_id)
        if record is None:
            packed = self._ended[task_id]
            state = a2a.TaskState(packed[2])
            return Stored(owner, task_id, packed[3], fold_of(packed), (), state, packed[1], packed[4])
        fold = record.fold
        if fold is None or fold.last > record.last:  # a writer whose last commit was refused has gone on with it
            fold = Fold(task_id, record.context_id)
        tail = record.entries[bisect_right(record.entries, fold.last, key=_number) :]
        return Stored(owner, task_id, record.context_id, fold, tail, record.state, record.changed)

    async def read(self, owner: Owner, task_id: str, after: int = 0) -> Sequence[Entry]:
        """The entries above `after` that are still kept."""
        mine = self._owned.get(owner)
        if mine is None or task_id not in mine.tasks:
            return []
        record = self._live.get(task_id)
        if record is None:
            return unpack_entries(self._ended[task_id], task_id, after)
        return record.entries[bisect_right(record.entries, after, key=_number) :]

    async def list(self, owner: Owner, query: ListQuery) -> Page:
        """One page of this owner's tasks, newest status first."""
        mine = self._owned.get(owner)
        matching: list[tuple[int, str]] = []
        for task_id in mine.tasks if mine is not None else ():
            context_id, state, changed = self._status(task_id)
            if query.context_id is not None and context_id != query.context_id:
                continue
            if query.state is not None and state != query.state:
                continue
            if query.changed_after is not None and changed <= query.changed_after:
                continue
            matching.append((changed, task_id))
        matching.sort(reverse=True)
        start = 0
        if query.before is not None:
            start = next((i for i, item in enumerate(matching) if item < query.before), len(matching))
        page = matching[start : start + query.page_size]
        return Page(page, len(matching), start + len(page) < len(matching))

    def _status(self, task_id: str) -> tuple[str, str, int]:
        record = self._live.get(task_id)
        if record is not None:
            return record.context_id, record.state, record.changed
        packed = self._ended[task_id]
        return packed[3], packed[2], packed[1]

    async def claim(self, owner: Owner, key: str) -> Claim | None:
        """What an idempotency key was used for."""
        mine = self._owned.get(owner)
        used = mine.claims.get(key) if mine is not None else None
        return None if used is None else Claim(key, *used)

    async def unfinished(self, agent: str) -> Sequence[tuple[Owner, str, a2a.TaskState]]:
        """The tasks of one agent that are not terminal, oldest first."""
        return [(r.owned.owner, task_id, r.state) for task_id, r in self._live.items() if r.owned.owner.agent == agent]

    async def feed(self, after: int, limit: int = 256) -> Sequence[Commit]:
        """The commits above `after`, without their fold, and without what retention took."""
        feed = self._feed
        commits: list[Commit] = []
        for index in range(bisect_right(feed, after, key=lambda item: item[0]), len(feed)):
            if len(commits) == limit:
                break
            commit = self._commit(*feed[index])
            if commit is not None:
                commits.append(commit)
        return commits

    def _commit(self, position: int, task_id: str, first: int, last: int, state: str, changed: int) -> Commit | None:
        record = self._live.get(task_id)
        if record is not None:
            mine, context_id, keys = record.owned, record.context_id, record.claims
            entries = record.entries[first - 1 : last]
        elif (packed := self._ended.get(task_id)) is not None:
            mine, context_id, keys = self._by_number[packed[0]], packed[3], packed[8]
            entries = unpack_entries(packed, task_id, first - 1, last)
        else:
            return None
        if not entries:
            return None
        claim = next((Claim(key, *mine.claims[key]) for key in keys if first <= mine.claims[key][2] <= last), None)
        return Commit(
            mine.owner, task_id, context_id, first - 1, entries, NO_LEASE, a2a.TaskState(state), changed, None, claim,
            position,
        )  # fmt: skip

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

    async def cursors(self, prefix: str) -> Sequence[tuple[str, int]]:
        """The consumers whose names begin so, and how far each has come."""
        return [(name, position) for name, position in self._cursors.items() if name.startswith(prefix)]

    async def forget(self, consumer: str) -> None:
        """Drop a consumer's cursor."""
        self._cursors.pop(consumer, None)

    async def trim(self, *, chunks_before: int, tasks_before: int) -> None:
        """Retention of ended tasks."""
        for task_id in tuple(self._order):
            packed = self._ended[task_id]
            number, changed, state, context_id, trimmed, last, fold, entries, claims = packed
            if changed < tasks_before:
                self._evict(task_id)
            elif changed < chunks_before and trimmed < last:
                kept = tuple([entry for entry in entries if entry[1] not in {"artifact", "+artifact"}])
                self._ended[task_id] = (number, changed, state, context_id, last, last, fold, kept, claims)
        self._order = deque(task_id for task_id in self._order if task_id in self._ended)


def _unfit(commit: Commit, last: int) -> Conflict:
    if last != commit.expected:
        return Conflict(f"task {commit.task_id!r} is at entry {last}, the writer expected {commit.expected}")
    return Conflict(f"task {commit.task_id!r} has another owner")


def _number(entry: Entry) -> int:
    return entry.number
