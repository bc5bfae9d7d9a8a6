"""Push configurations of tasks: the four operations, and what a message brings along. Spec 3.1.7 to 3.1.10, 4.3."""

from __future__ import annotations

import asyncio
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from pydantic_core import to_json

from codin import a2a
from codin.errors import AddressRefused, CodinError, ConnectError, StoreError
from codin.task._entry import Entry, PrivateEntry
from codin.task._ids import random_id
from codin.task._live import Live
from codin.task._log import TaskLog
from codin.task._protocol import NO_LEASE, Lease, Owner, TaskStore
from codin.task._push_configs import Known, check_fields, config_entry, configs_in, deleted_entry
from codin.task._push_cursors import Place, dead_letters, revive_dead_letters
from codin.task._push_lines import Lines
from codin.task._push_policy import PushPolicy
from codin.task._push_post import Post
from codin.task._push_request import DeadLetter, PushRequest
from codin.trust import KeyRing

__all__ = ["Pushes", "Reserved"]

_logger = logging.getLogger("codin.task")

T = TypeVar("T")

_PAGE = 50
_INLINE = "configuration.taskPushNotificationConfig."
_WHO_ALLOWS = (  # the same for every address, because it would tell where a name leads
    "the server says which are: codin serve --push loopback or anywhere, or PushPolicy(guard=AddressGuard(…))"
)
_LOOK_UP = 3.0  # seconds for the addresses of a host; whoever delivers looks again


class Reserved(NamedTuple):
    """A configuration that a message brings along: its place is kept, and its entry goes with the message's."""

    place: Place
    entry: PrivateEntry


class Pushes:
    """The push configurations of one agent's tasks.

    Args:
        live: the tasks at hand.
        on_commit: what a log calls otherwise.
        holder: in whose name leases are taken.
    """

    def __init__(
        self,
        policy: PushPolicy,
        agent: str,
        keys: KeyRing | None,
        store: TaskStore,
        live: Live,
        on_commit: Callable[[TaskLog, Sequence[Entry]], None],
        holder: str,
    ) -> None:
        self._policy = policy
        self._agent = agent
        self._store = store
        self._live = live
        self._on_commit = on_commit
        self._holder = holder
        self._lines = Lines(store, policy, Post(policy, agent, keys), self._note_stop)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._working: set[asyncio.Task[Any]] = set()

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on where an earlier process was."""
        await self._lines.start(self._agent)

    async def drain(self) -> None:
        """Finish what is being changed, and deliver for a while."""
        if self._working:
            await asyncio.wait(set(self._working), timeout=self._policy.drain)
        await self._lines.drain()

    def attach(self, log: TaskLog) -> None:
        """Let a log say what is committed from now on; to us as well, if it has configurations."""
        log.on_commit = self._committed if self._lines.watches(log.task_id) else self._on_commit

    def _committed(self, log: TaskLog, batch: Sequence[Entry]) -> None:
        self._on_commit(log, batch)
        self._lines.wake(log)

    # -- operations ----------------------------------------------------------------------------------------------------

    async def run(self, owner: Owner, request: PushRequest) -> bytes:
        """The JSON of an operation's answer.

        Raises:
            TaskNotFound: this owner has no such task, or it has no such configuration.
            InvalidParams: a field cannot be used, or the URL may not be called from here.
            UnsupportedOperation: the task has as many as it may (reason TOO_MANY_PUSH_CONFIGS).
        """
        match request:
            case a2a.TaskPushNotificationConfig():
                return await self._set(owner, request)
            case a2a.GetTaskPushNotificationConfigRequest():
                return await self._get(owner, request)
            case a2a.ListTaskPushNotificationConfigsRequest():
                return await self._list(owner, request)
            case a2a.DeleteTaskPushNotificationConfigRequest():
                return await self._drop(owner, request)

    async def _set(self, owner: Owner, config: a2a.TaskPushNotificationConfig) -> bytes:
        if not config.task_id:
            raise a2a.InvalidParams.of("taskId", "Field required")
        known = await self._known(owner, config.task_id)
        config = await self._checked(config, known, "")
        await self._finish(self._create(Place(owner, config.task_id or "", config.id or ""), config))
        return config.to_json()

    async def _get(self, owner: Owner, request: a2a.GetTaskPushNotificationConfigRequest) -> bytes:
        known = (await self._known(owner, request.task_id)).get(request.id)
        if known is None:
            raise a2a.TaskNotFound(f"task {request.task_id!r} has no push configuration {request.id!r}")
        return known.config.to_json()

    async def _list(self, owner: Owner, request: a2a.ListTaskPushNotificationConfigsRequest) -> bytes:
        known = list((await self._known(owner, request.task_id)).values())
        after = _parse_token(request.task_id, request.page_token) if request.page_token else 0
        known = [each for each in known if each.since > after]
        size = request.page_size or _PAGE
        page, more = known[:size], len(known) > size
        token = _token(request.task_id, page[-1].since) if more else ""
        configs = b",".join([each.config.to_json() for each in page])
        return b'{"configs":[%s],"nextPageToken":%s}' % (configs, to_json(token))

    async def _drop(self, owner: Owner, request: a2a.DeleteTaskPushNotificationConfigRequest) -> bytes:
        if request.id in await self._known(owner, request.task_id):
            await self._finish(self._delete(Place(owner, request.task_id, request.id)))
        return b"{}"

    async def _known(self, owner: Owner, task_id: str) -> dict[str, Known]:
        return configs_in((await self._live.find(owner, task_id)).log.entries)

    async def _create(self, place: Place, config: a2a.TaskPushNotificationConfig) -> None:
        async with self._lock(place.task_id):
            self._check_count(place.config_id, await self._known(place.owner, place.task_id))
            await self._lines.reserve(place)
            await self._note(place.owner, place.task_id, config_entry(config))
            await self._begin(place)

    async def _delete(self, place: Place) -> None:
        async with self._lock(place.task_id):
            await self._note(place.owner, place.task_id, deleted_entry(place.config_id))
            await self._lines.close(place)

    async def _begin(self, place: Place) -> None:
        await self._lines.open(place)
        run = self._live.runs.get(place.task_id)
        if run is not None:
            self.attach(run.log)

    # -- with a message ------------------------------------------------------------------------------------------------

    async def reserve(
        self, owner: Owner, message: a2a.Message, config: a2a.TaskPushNotificationConfig, new_id: Callable[[], str]
    ) -> Reserved:
        """Get ready for a message that brings a configuration along; a new task gets its id here.

        Raises:
            TaskNotFound, InvalidParams, UnsupportedOperation: as `run` does.
        """
        if config.task_id and config.task_id != message.task_id:
            raise a2a.InvalidParams.of(f"{_INLINE}taskId", "is not the task of the message", hint="leave it out")
        known = await self._known(owner, message.task_id) if message.task_id else {}
        task_id = message.task_id or new_id()
        config = await self._checked(config.model_copy(update={"task_id": task_id}), known, _INLINE)
        place = Place(owner, task_id, config.id or "")
        await self._lines.reserve(place)
        return Reserved(place, config_entry(config))

    def taken(self, reserved: Reserved, log: TaskLog, number: int) -> None:
        """The message was appended, at `number`."""
        self._spawn(self._taken(reserved.place, log, number))

    async def _taken(self, place: Place, log: TaskLog, number: int) -> None:
        try:
            await log.settled(number)
            await self._begin(place)
        except StoreError:  # whoever sent the message is told
            return

    def refused(self, reserved: Reserved) -> None:
        """The message was not appended."""
        if not self._lines.watches(reserved.place.task_id):
            self._spawn(self._store.forget(reserved.place.going))

    # -- dead letters --------------------------------------------------------------------------------------------------

    async def dead_letters(self) -> list[DeadLetter]:
        """The dead letters of this agent's tasks, the oldest first."""
        return await dead_letters(self._store, self._agent)

    async def sweep(self) -> None:
        """Forget the dead letters of tasks that retention has taken."""
        await self.dead_letters()

    async def revive_dead_letters(self, task_id: str | None) -> int:
        """Let dead letters go out again from where they stopped; how many."""
        revived = await revive_dead_letters(self._store, self._agent, task_id)
        for letter in revived:
            await self._begin(Place.of(letter))
        return len(revived)

    # -- how -----------------------------------------------------------------------------------------------------------

    async def _checked(
        self, config: a2a.TaskPushNotificationConfig, known: dict[str, Known], path: str
    ) -> a2a.TaskPushNotificationConfig:
        """The configuration with its id, when it can be used."""
        check_fields(config, path)
        self._check_count(config.id, known)
        if self._policy.guard is not None:
            try:
                async with asyncio.timeout(_LOOK_UP):
                    await self._policy.guard.check(config.url)
            except AddressRefused as error:
                raise a2a.InvalidParams.of(
                    f"{path}url", "leads to an address that is not called from here", hint=_WHO_ALLOWS
                ) from error
            except (ConnectError, TimeoutError):
                pass  # its name may be known by the time of the delivery, which looks again
        return config if config.id else config.model_copy(update={"id": random_id()})

    def _check_count(self, config_id: str | None, known: dict[str, Known]) -> None:
        if config_id not in known and len(known) >= self._policy.max_configs:
            raise a2a.UnsupportedOperation(
                f"a task has at most {self._policy.max_configs} push configurations",
                reason="TOO_MANY_PUSH_CONFIGS",
                hint="delete one, or set one anew by its id",
            )

    async def _note(self, owner: Owner, task_id: str, entry: PrivateEntry) -> None:
        """Append a private entry to a task in any state, and wait for its commit."""
        log = (await self._live.find(owner, task_id)).log
        taken = NO_LEASE
        with log.reader(log.last, until_interrupted=False):  # keeps it at hand
            while log.state.resting and log.uncommitted:  # its lease is given back with that commit
                await log.settled()
            try:
                if not log.lease.fence:
                    lease = self._store.lease(owner, log.context_id, self._holder)
                    taken = log.lease = lease if isinstance(lease, Lease) else await lease
                await log.settled(log.note(entry))
            finally:
                if taken.fence and log.lease is taken and log.state.resting and not log.uncommitted:
                    self._store.release(owner, taken)
                    log.lease = NO_LEASE

    async def _note_stop(self, owner: Owner, task_id: str, entry: PrivateEntry) -> None:
        async with self._lock(task_id):
            await self._note(owner, task_id, entry)

    def _lock(self, task_id: str) -> asyncio.Lock:
        """Changes of one task's configurations come one after the other: a log that has ended is not kept at hand."""
        lock = self._locks.get(task_id)
        if lock is None:
            lock = self._locks[task_id] = asyncio.Lock()
        return lock

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end, whether or not who asked for it stays."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        error = None if task.cancelled() else task.exception()  # which counts as seen, should nobody wait any more
        if error is not None and not isinstance(error, CodinError):
            _logger.error("a push configuration could not be changed", exc_info=error)


def _token(task_id: str, since: int) -> str:
    return urlsafe_b64encode(b"%d %s" % (since, task_id.encode())).decode()


def _parse_token(task_id: str, token: str) -> int:
    try:
        since, _, of = urlsafe_b64decode(token).decode().partition(" ")
        if of == task_id and since.isdecimal():
            return int(since)
    except ValueError:
        pass
    raise a2a.InvalidParams.of("pageToken", "is not a token of this task", hint="start again without a pageToken")
