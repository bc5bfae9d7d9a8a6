"""The way from a task's log to a receiver: one line for each push configuration, a reader of the log with a cursor.

The cursor is stored behind each delivery, under a name that says whose it is, before the configuration is committed.
So the cursors that begin with `push:` are what a process that starts has to go on with, and no log is read for tasks
that push nothing. A delivery may be repeated after a crash, and is never lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from pydantic_core import from_json, to_json

from codin import a2a
from codin.a2a import v03
from codin.errors import CodinError
from codin.task._entry import Entry, PrivateEntry, StatusEntry
from codin.task._fold import Fold
from codin.task._log import TaskLog
from codin.task._protocol import Owner, TaskStore
from codin.task._push_configs import configs_in, stopped_entry
from codin.task._push_cursors import Place, going
from codin.task._push_policy import PushPolicy
from codin.task._push_post import Post, place_of
from codin.task._push_request import OldPushConfig

__all__ = ["Lines"]

_logger = logging.getLogger("codin.task")


class _GivenUp(Exception):
    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number
        self.why = why


class _Leaving(Exception):
    """The process ends; the next one goes on."""


class _Line:
    """One configuration's place in the log. Its worker lives while there is something to deliver.

    Attributes:
        config: None until its log was looked at.
        position: what has been delivered, or came before the configuration.
        fresh: something may have come that the worker has not seen.
    """

    __slots__ = ("config", "fresh", "place", "position", "saving", "worker")

    def __init__(self, place: Place, position: int) -> None:
        self.place = place
        self.position = position
        self.config: a2a.TaskPushNotificationConfig | None = None
        self.fresh = False
        self.saving: asyncio.Task[None] | None = None
        self.worker: asyncio.Task[None] | None = None


class Lines:
    """The lines of one agent's tasks that have not come to their end.

    Args:
        note: appends a private entry to the log of a task.
    """

    def __init__(
        self,
        store: TaskStore,
        policy: PushPolicy,
        post: Post,
        note: Callable[[Owner, str, PrivateEntry], Awaitable[None]],
    ) -> None:
        self._store = store
        self._policy = policy
        self._post = post
        self._note = note
        self._lines: dict[str, dict[str, _Line]] = {}  # by task and configuration
        self._slots = asyncio.Semaphore(policy.max_deliveries)
        self._workers: set[asyncio.Task[None]] = set()  # also of lines that are just being put away
        self._leaving = asyncio.Event()
        self._closed = False

    async def start(self, agent: str) -> None:
        """Go on where an earlier process was."""
        for place, position in await going(self._store, agent):
            self._wake(self._line(place, position))

    def watches(self, task_id: str) -> bool:
        """Whether somebody is to be told of what happens to a task."""
        return task_id in self._lines

    async def reserve(self, place: Place) -> None:
        """Store a cursor for a configuration that is about to be committed. One that was given up goes on."""
        await self._store.advance(place.going, await self._store.cursor(place.stopped))

    async def open(self, place: Place) -> None:
        """Begin with a configuration that is committed, or look at it again."""
        line = self._line(place, await self._store.cursor(place.going))
        await self._halt(line)
        line.config = None
        await self._store.advance(place.going, line.position)  # a line that has just ended took it away
        await self._store.forget(place.stopped)
        self._wake(self._line(place, line.position))

    async def close(self, place: Place) -> None:
        """Deliver nothing more."""
        line = self._line(place, 0)
        await self._halt(line)
        await self._end(line)
        await self._store.forget(place.stopped)

    def _line(self, place: Place, position: int) -> _Line:
        lines = self._lines.setdefault(place.task_id, {})
        line = lines.get(place.config_id)
        if line is None:
            line = lines[place.config_id] = _Line(place, position)
        return line

    async def _halt(self, line: _Line) -> None:
        if line.worker is not None:
            line.worker.cancel()
            await asyncio.wait({line.worker})
            line.worker = None  # one that had not begun has not said so itself

    def wake(self, log: TaskLog) -> None:
        """Something was committed."""
        for line in self._lines.get(log.task_id, {}).values():
            self._wake(line)

    def _wake(self, line: _Line) -> None:
        line.fresh = True
        if line.worker is None and not self._closed:
            line.worker = asyncio.get_running_loop().create_task(self._work(line))
            self._workers.add(line.worker)
            line.worker.add_done_callback(self._workers.discard)

    async def drain(self) -> None:
        """Wait a while for what is under way. The rest is left to the next process that opens the store."""
        self._leaving.set()
        if workers := set(self._workers):
            await asyncio.wait(workers, timeout=self._policy.drain)
        self._closed = True
        if workers := set(self._workers):
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        savings = [line.saving for lines in self._lines.values() for line in lines.values() if line.saving is not None]
        if savings:
            await asyncio.wait(savings)
        await self._post.aclose()

    # -- one line ------------------------------------------------------------------------------------------------------

    async def _work(self, line: _Line) -> None:
        task_id = line.place.task_id
        try:
            while line.fresh:
                line.fresh = False
                if await self._catch_up(line):
                    await self._end(line)
                    return
        except _Leaving:
            return
        except _GivenUp as given_up:
            await self._stop(line, given_up)
        except CodinError as error:
            _logger.error("the notifications of task %s cannot go on: %s", task_id, error)
        except Exception:
            _logger.exception("the notifications of task %s cannot go on", task_id)
        finally:
            line.worker = None

    async def _catch_up(self, line: _Line) -> bool:
        """Deliver what is there; whether nothing can come any more."""
        owner, task_id, config_id = line.place
        entries = await self._store.read(owner, task_id, 0 if line.config is None else line.position)
        end = _end_in(entries)
        if line.config is None:
            known = configs_in(entries).get(config_id)
            if known is None:  # it was deleted, or never committed
                return True
            line.config = known.config
            if end is not None and known.since > end and line.position == 0:
                # The task as it ended, for who asks behind its end: each configuration sees at least one delivery.
                if (fold := await self._fold(line.place)) is not None:
                    await self._deliver(line, line.config, known.since, _task_body(line.config, fold))
                return True
            line.position = max(line.position, known.since)
        elif not entries:
            return await self._store.load(owner, task_id) is None  # retention has taken it
        fresh = [entry for entry in entries if entry.public and entry.number > line.position]
        if fresh and isinstance(line.config, OldPushConfig):
            return await self._deliver_task(line, line.config)
        for entry in fresh:
            await self._deliver(line, line.config, entry.number, entry.body)
            self._advance(line, entry.number)
        return end is not None

    async def _deliver_task(self, line: _Line, config: OldPushConfig) -> bool:
        """Deliver the task as it is by now, so that all that has come meanwhile is told at once."""
        fold = await self._fold(line.place)
        if fold is None:
            return True
        await self._deliver(line, config, fold.last, _task_body(config, fold))
        self._advance(line, fold.last)
        return fold.state.terminal

    async def _fold(self, place: Place) -> Fold | None:
        stored = await self._store.load(place.owner, place.task_id)
        return None if stored is None else TaskLog.restore(self._store, stored, ()).fold

    async def _deliver(self, line: _Line, config: a2a.TaskPushNotificationConfig, number: int, body: bytes) -> None:
        for tried in count(1):
            async with self._slots:
                failure = await self._post.deliver(config, line.place.task_id, number, body)
            if failure is None:
                return
            if not failure.passes or tried >= self._policy.tries:
                raise _GivenUp(number, failure.why)
            await self._pause(self._post.pause(tried - 1, failure))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            return
        raise _Leaving

    def _advance(self, line: _Line, position: int) -> None:
        line.position = position
        if line.saving is None:
            line.saving = asyncio.get_running_loop().create_task(self._save(line))

    async def _save(self, line: _Line) -> None:
        """Store the cursor; what is delivered meanwhile goes with the next time."""
        saved = -1
        try:
            while saved != line.position:
                saved = line.position
                await self._store.advance(line.place.going, saved)
        except CodinError as error:
            _logger.error("how far task %s is delivered cannot be stored: %s", line.place.task_id, error)
        finally:
            line.saving = None

    async def _stop(self, line: _Line, given_up: _GivenUp) -> None:
        """Make it a dead letter."""
        place, config = line.place, line.config
        _logger.warning(
            "event %d of task %s could not be delivered to %s and is not tried again: %s",
            given_up.number, place.task_id, place_of(config.url) if config else "", given_up.why,
        )  # fmt: skip
        try:
            await self._note(*place[:2], stopped_entry(place.config_id, given_up.number, given_up.why))
            await self._store.advance(place.stopped, line.position)
            await self._end(line)
        except a2a.TaskNotFound:
            await self._end(line)
        except CodinError as error:
            _logger.error("the dead letter of task %s cannot be stored: %s", place.task_id, error)

    async def _end(self, line: _Line) -> None:
        place = line.place
        lines = self._lines.get(place.task_id, {})
        if lines.get(place.config_id) is line:
            del lines[place.config_id]
            if not lines:
                del self._lines[place.task_id]
        if line.saving is not None:
            await line.saving
        await self._store.forget(place.going)


def _task_body(config: a2a.TaskPushNotificationConfig, fold: Fold) -> bytes:
    """The whole task. Clients of 0.3 are posted to as JSON-RPC writes it, whichever binding they use."""
    task = fold.to_json()
    if isinstance(config, OldPushConfig):
        return to_json(v03.RPC.write_task(from_json(task)))
    return b'{"task":%s}' % task


def _end_in(entries: Sequence[Entry]) -> int | None:
    """The number of the last entry of a task that has ended."""
    for entry in reversed(entries):
        if isinstance(entry, StatusEntry):
            return entry.number if entry.state.terminal else None
    return None
