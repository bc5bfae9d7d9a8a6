"""One live task log: numbers entries, commits them in groups, and wakes whoever reads."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from codin import a2a
from codin.errors import CodinError, TaskClosed
from codin.task._entry import Entry, PrivateEntry, StatusEntry
from codin.task._fold import Fold
from codin.task._protocol import NO_LEASE, Claim, Commit, Lease, Owner, Stored, TaskStore

__all__ = ["OnCommit", "Reader", "TaskLog"]

OnCommit: TypeAlias = Callable[["TaskLog", Sequence[Entry]], None]
"""Called with what has been committed."""


class TaskLog:
    """The log of a task that this process writes.

    `last` is the newest number given, `committed` the newest number the store has. Readers see committed entries only.
    The first uncommitted entry starts a commit at once; what arrives meanwhile joins the next one.
    """

    __slots__ = (
        "_flushing", "_outcomes", "_pending", "_settled", "_snapshots", "answered", "broken", "calls", "claim",
        "closed", "committed", "context_id", "entries", "fold", "head", "ids", "last", "lease", "on_commit", "owner",
        "readers", "state", "store", "task_id",
    )  # fmt: skip

    def __init__(self, store: TaskStore, owner: Owner, task_id: str, context_id: str, fold: Fold) -> None:
        self.store: TaskStore = store
        self.owner: Owner = owner
        self.task_id: str = task_id
        self.context_id: str = context_id
        self.ids: bytes = fold.ids
        self.fold: Fold = fold
        self.readers: set[Reader] = set()  # streams that are open now
        self.entries: list[Entry] = []
        self.head: int = fold.last  # entries up to this number are not in `entries`
        self.last: int = fold.last
        self.committed: int = fold.last
        self.state: a2a.TaskState = fold.state
        self.lease: Lease = NO_LEASE
        self.claim: Claim | None = None
        self.broken: CodinError | None = None
        # Records of calls that came while nothing could be written. None: this task has called nobody.
        self.calls: list[Entry] | None = None
        self.answered: list[tuple[str, str]] = []  # messages to others, by target and id, of which no record says so
        self.on_commit: OnCommit | None = None
        self.closed: bool = False  # whether a terminal entry has been appended
        self._pending: list[Entry] = []
        self._flushing = False
        self._outcomes: list[tuple[int, int | None, asyncio.Future[bytes]]] = []
        self._settled: list[tuple[int, asyncio.Future[None]]] = []
        self._snapshots: list[tuple[asyncio.Future[tuple[int, bytes]], int | None, bool]] = []

    @classmethod
    def restore(cls, store: TaskStore, stored: Stored, entries: Sequence[Entry]) -> TaskLog:
        """Take up a stored task again, with those of its entries that are still kept."""
        fold = stored.fold
        for entry in stored.tail:
            entry.apply(fold)
            fold.last = entry.number
        log = cls(store, stored.owner, stored.task_id, stored.context_id, fold)
        log.entries = list(entries)
        log.head = stored.trimmed
        log.closed = log.state.terminal
        log.calls = []  # whom it has called is in its entries
        return log

    @property
    def uncommitted(self) -> int:
        """How many entries wait for their commit."""
        return self.last - self.committed

    def check_open(self) -> None:
        """Raise as `append` would."""
        if self.closed:
            raise TaskClosed(f"task {self.task_id!r} has ended ({self.state.name}); nothing can be added to it")
        if self.broken is not None:
            raise self.broken

    def append(self, *entries: Entry) -> int:
        """Number the entries and start their commit. Returns the number of the last one.

        Raises:
            TaskClosed: the task has had its outcome.
            StoreError: an earlier commit failed; nothing can be appended any more.
        """
        if self.closed or self.broken is not None:
            self.check_open()
        last = self.last
        for entry in entries:
            last += 1
            entry.number = last
            if type(entry) is StatusEntry:
                self.state = state = entry.state
                self.closed = state.terminal
        self.last = last
        self._pending += entries
        if not self._flushing:
            self._flush()
        return last

    def note(self, entry: PrivateEntry) -> int:
        """Append a private entry, which may also come after the end. Raises StoreError, as `append` does."""
        closed, self.closed = self.closed, False
        try:
            return self.append(entry)
        finally:
            self.closed = closed

    def _flush(self) -> None:
        batch = self._pending
        self._pending = []
        fold = self.fold
        for entry in batch:
            entry.apply(fold)
        fold.last = self.last
        claim, self.claim = self.claim, None
        commit = Commit(
            self.owner, self.task_id, self.context_id, self.committed, batch, self.lease, fold.state, fold.changed,
            fold if fold.state.resting else None, claim,
        )  # fmt: skip
        try:
            done = self.store.append(commit)
        except CodinError as error:
            self._break(error)
            return
        if isinstance(done, int):
            self._on_committed(batch)
        else:
            self._flushing = True
            done.add_done_callback(partial(self._on_done, batch))

    def _on_done(self, batch: Sequence[Entry], future: asyncio.Future[int]) -> None:
        self._flushing = False
        error = future.exception()
        if error is not None:
            self._break(error if isinstance(error, CodinError) else CodinError(f"the store failed: {error}"))
            return
        self._on_committed(batch)
        if self._pending and not self._flushing:
            self._flush()

    def _on_committed(self, batch: Sequence[Entry]) -> None:
        self.committed = self.fold.last
        self.entries += batch
        if self._outcomes and self.fold.state.resting:
            self._answer()
        if self._snapshots:
            snapshots, self._snapshots = self._snapshots, []
            for future, history_length, artifacts in snapshots:
                if not future.done():
                    future.set_result((self.fold.last, self.fold.to_json(history_length, artifacts=artifacts)))
        if self._settled:
            ready = [future for number, future in self._settled if number <= self.committed]
            self._settled = [(number, future) for number, future in self._settled if number > self.committed]
            _wake(ready)
        for reader in self.readers:
            reader.wake()
        if self.on_commit is not None:
            self.on_commit(self, batch)

    def _answer(self) -> None:
        waiting, self._outcomes = self._outcomes, []
        for waiter in waiting:
            number, history_length, future = waiter
            if number >= self.committed:
                self._outcomes.append(waiter)
            elif not future.done():
                future.set_result(self.fold.to_json(history_length))

    def _break(self, error: CodinError) -> None:
        self.broken = error
        self._pending = []
        waiting: list[asyncio.Future[Any]] = [future for _, _, future in self._outcomes]
        waiting += [future for _, future in self._settled]
        waiting += [future for future, _, _ in self._snapshots]
        self._outcomes, self._settled, self._snapshots = [], [], []
        for reader in self.readers:
            reader.wake(error)
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # a waiter that has gone away must not leave a warning behind
        if self.on_commit is not None:
            self.on_commit(self, ())

    async def settled(self, number: int | None = None) -> None:
        """Wait until everything up to `number` (default: all so far) is committed. Raises StoreError."""
        number = self.last if number is None else number
        if self.broken is not None:
            raise self.broken
        if number > self.committed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settled.append((number, future))
            await future

    def outcome(self, after: int, history_length: int | None) -> asyncio.Future[bytes]:
        """The `Task` at the first terminal or interrupted entry above `after`, folded exactly there."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self.broken is not None:
            future.set_exception(self.broken)
        elif not self._flushing and self.committed > after and self.fold.state.resting:
            future.set_result(self.fold.to_json(history_length))
        else:
            self._outcomes.append((after, history_length, future))
        return future

    async def snapshot(self, history_length: int | None = None, *, artifacts: bool = True) -> tuple[int, bytes]:
        """The number and the `Task` of the newest committed fold."""
        if not self._flushing:
            return self.fold.last, self.fold.to_json(history_length, artifacts=artifacts)
        # The fold is a commit ahead of the store: it is read in the moment in which the two are equal.
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._snapshots.append((future, history_length, artifacts))
        return await future

    def reader(self, after: int, *, until_interrupted: bool) -> Reader:
        """Read public entries above `after`."""
        return Reader(self, after, until_interrupted)

    def since(self, after: int) -> Sequence[Entry]:
        """Committed entries above `after`, as far as they are kept."""
        start = max(0, after - self.head)
        if self.head:  # retention leaves holes below `head`
            start = bisect_right(self.entries, after, key=lambda entry: entry.number)
        return self.entries[start:]


class Reader:
    """A position in a log: everything above it that is public, then whatever comes, until the stream's end.

    Enter it (`with reader:`) to keep the log at hand while the task is parked.

    Args:
        until_interrupted: a send's stream ends at INPUT_REQUIRED as well; a subscription only at a terminal entry.
    """

    __slots__ = ("_log", "_until_interrupted", "_waiter", "ended", "position")

    def __init__(self, log: TaskLog, after: int, until_interrupted: bool) -> None:
        self._log = log
        self._until_interrupted = until_interrupted
        self._waiter: asyncio.Future[None] | None = None
        self.position: int = after
        self.ended: bool = log.fold.state.terminal and (after >= log.last or self._has_all(after))

    def _has_all(self, after: int) -> bool:
        """Whether nothing but private entries is left behind the end."""
        log = self._log
        return not log.uncommitted and not any(entry.public for entry in log.since(after))

    def __enter__(self) -> Reader:
        self._log.readers.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.readers.discard(self)

    def take(self) -> list[Entry]:
        """The public entries that are there and have not been taken."""
        log = self._log
        if log.committed == self.position or self.ended:
            return []
        taken: list[Entry] = []
        for entry in log.since(self.position):
            if not entry.public:
                continue
            taken.append(entry)
            if isinstance(entry, StatusEntry) and self._ends(entry.state):
                self.ended = True
                break
        self.position = log.committed
        return taken

    def _ends(self, state: a2a.TaskState) -> bool:
        return state.terminal or (self._until_interrupted and state is a2a.TaskState.INPUT_REQUIRED)

    async def wait(self) -> None:
        """Wait until there is something to take, the reader has ended, or `wake` is called. Raises StoreError."""
        log = self._log
        if log.broken is not None:
            raise log.broken
        if log.committed != self.position or self.ended:
            return
        log.readers.add(self)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self, error: CodinError | None = None) -> None:
        """End the present `wait`."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
