"""The reading side: tasks this process has at hand, and tasks the store brings back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from pydantic_core import to_json

from codin import a2a
from codin.task._limits import Limits
from codin.task._log import Reader, TaskLog
from codin.task._pages import page_token, parse_page_token
from codin.task._protocol import ListQuery, Owner, TaskStore
from codin.task._run import Run
from codin.trust import Caller

__all__ = ["Live", "Subscription"]

_DEFAULT_PAGE = 50


class Subscription(NamedTuple):
    """What a stream begins with, and the reader of the rest.

    Attributes:
        first: the number and the JSON of a `Task`; None when the reader goes on from a number the caller knows.
    """

    first: tuple[int, bytes] | None
    reader: Reader


class Live:
    """Runs by task id. A parked one is let go after a while, and comes back when somebody asks for it."""

    def __init__(self, store: TaskStore, limits: Limits, attach: Callable[[TaskLog], None]) -> None:
        self._store = store
        self._limits = limits
        self._attach = attach
        self.runs: dict[str, Run] = {}
        self._coming: dict[tuple[Owner, str], asyncio.Task[Run | None]] = {}

    async def find(self, owner: Owner, task_id: str) -> Run:
        """The run of a task, ended ones included. Raises TaskNotFound."""
        run = self._mine(owner, task_id)
        if run is not None:
            return run
        place = (owner, task_id)
        coming = self._coming.get(place)
        if coming is None:  # whoever asks meanwhile gets the same run: a task never has two logs
            coming = self._coming[place] = asyncio.get_running_loop().create_task(self._bring(owner, task_id))
            coming.add_done_callback(lambda _: self._coming.pop(place))
        run = await asyncio.shield(coming)
        if run is None:
            raise _unknown(task_id)
        return self._keep(run)

    async def _bring(self, owner: Owner, task_id: str) -> Run | None:
        stored = await self._store.load(owner, task_id)
        if stored is None:
            return None
        entries = await self._store.read(owner, task_id)
        log = TaskLog.restore(self._store, stored, entries)
        self._attach(log)
        run = Run(log, self._limits, Caller(owner.caller, owner.tenant))
        return self._keep(run)

    def _keep(self, run: Run) -> Run:
        """Have the run at hand, unless it has ended or another one is."""
        log = run.log
        kept = self.runs.get(log.task_id)
        if kept is not None or log.closed or log.broken is not None:
            return kept or run
        self.runs[log.task_id] = run
        if log.state.interrupted:
            self.let_go_later(log)
        return run

    def _mine(self, owner: Owner, task_id: str) -> Run | None:
        run = self.runs.get(task_id)
        if run is not None and run.log.owner != owner:
            raise _unknown(task_id)  # another owner's task and an unknown one are the same answer
        return run

    def let_go_later(self, log: TaskLog) -> None:
        """Keep a resting task at hand for `park_timeout`, and for as long as somebody subscribes to it."""
        asyncio.get_running_loop().call_later(self._limits.park_timeout, self._let_go, log, log.last)

    def _let_go(self, log: TaskLog, number: int) -> None:
        run = self.runs.get(log.task_id)
        if run is None or run.log is not log or log.last != number:
            return  # it has moved on
        if run.parked and run.worker is not None:
            run.stop = "park"
            run.worker.cancel()
        if log.readers or log.calls:
            self.let_go_later(log)
        else:
            del self.runs[log.task_id]

    async def get(self, owner: Owner, request: a2a.GetTaskRequest) -> bytes:
        """The JSON of a `Task`. Raises TaskNotFound."""
        return await self._json(owner, request.id, request.history_length, artifacts=True)

    async def _json(self, owner: Owner, task_id: str, history_length: int | None, *, artifacts: bool) -> bytes:
        run = self._mine(owner, task_id)
        if run is not None:
            return (await run.log.snapshot(history_length, artifacts=artifacts))[1]
        stored = await self._store.load(owner, task_id)
        if stored is None:
            raise _unknown(task_id)
        log = TaskLog.restore(self._store, stored, ())
        return log.fold.to_json(history_length, artifacts=artifacts)

    async def list(self, owner: Owner, request: a2a.ListTasksRequest) -> bytes:
        """The JSON of a `ListTasksResponse`. Raises InvalidParams for a page token that does not belong here."""
        after = request.status_timestamp_after
        query = ListQuery(
            context_id=request.context_id or None,
            state=request.status,
            changed_after=int(after.timestamp() * 1000) if after is not None else None,
            page_size=request.page_size or _DEFAULT_PAGE,
        )
        if request.page_token:
            before = parse_page_token(owner, query, request.page_token)
            query = ListQuery(query.context_id, query.state, query.changed_after, query.page_size, before)
        page = await self._store.list(owner, query)
        tasks: list[bytes] = []
        for _, task_id in page.tasks:
            try:
                artifacts = bool(request.include_artifacts)
                tasks.append(await self._json(owner, task_id, request.history_length, artifacts=artifacts))
            except a2a.TaskNotFound:
                continue  # evicted between the page and the look
        token = page_token(owner, query, page.tasks[-1]) if page.more else ""
        return b'{"tasks":[%s],"nextPageToken":%s,"pageSize":%d,"totalSize":%d}' % (
            b",".join(tasks), to_json(token), query.page_size, page.total,
        )  # fmt: skip

    async def subscribe(self, owner: Owner, task_id: str, after: int | None) -> Subscription:
        """The `Task` folded to now and the tail; or, after a number the caller knows, just what it has missed.

        Raises:
            TaskNotFound: this owner has no such task.
            UnsupportedOperation: it has ended, and no number is given. Spec 3.1.6.
            InvalidParams: the number is beyond the end (reason EVENT_NUMBER_UNKNOWN).
        """
        log = (await self.find(owner, task_id)).log
        if after is None and log.state.terminal:
            await log.settled()
            raise a2a.UnsupportedOperation(
                f"task {task_id!r} has ended ({log.state.value}); there is nothing to subscribe to",
                hint="use GetTask, or send Last-Event-ID to read again what you have missed",
            )
        if after is not None and after > log.committed:
            raise a2a.InvalidParams(
                f"event {after} is beyond the end of task {task_id!r} ({log.committed})", reason="EVENT_NUMBER_UNKNOWN"
            )
        if after is not None and after >= log.head:
            return Subscription(None, log.reader(after, until_interrupted=False))
        number, task = await log.snapshot()
        return Subscription((number, task), log.reader(number, until_interrupted=False))


def _unknown(task_id: str) -> a2a.TaskNotFound:
    return a2a.TaskNotFound(f"there is no task {task_id!r}")
