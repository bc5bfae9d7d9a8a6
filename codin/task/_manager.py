"""The task manager: takes messages in, and lets readers at the logs. Knows a handler, not an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from codin import a2a
from codin.net import Transport
from codin.task._allowance import admit
from codin.task._calls import Calls
from codin.task._clock import now_ms
from codin.task._entry import Entry, StatusEntry
from codin.task._fold import Fold
from codin.task._follower import Follower
from codin.task._guard import Guard, Handler
from codin.task._ids import random_id
from codin.task._intake import Incoming, Intake
from codin.task._limits import Limits
from codin.task._live import Live, Subscription
from codin.task._log import TaskLog
from codin.task._once import Once, Settled, digest_of
from codin.task._open_calls import open_calls, orphans
from codin.task._protocol import Claim, Owner, TaskStore
from codin.task._push_policy import PushPolicy
from codin.task._push_request import DeadLetter, PushRequest
from codin.task._resolver import Resolver
from codin.task._run import Run
from codin.task._runner import Runner
from codin.task._stage import Stage
from codin.task._task import CallAgent, Provides, UseTool
from codin.task._turn import Turn
from codin.task._wishes import wishes_of
from codin.task.stores.memory import MemoryStore
from codin.trust import Caller, CallLimits, Credential, KeyRing, TrustPolicy, identity_of

if TYPE_CHECKING:
    from codin.task._push import Pushes

__all__ = ["TaskManager"]

_owner = lru_cache(4096)(Owner)  # one object for all tasks of one owner


class TaskManager:
    """Runs one agent's tasks.

    Args:
        handler: `async def handle(task) -> AgentResponse`.
        store: where the logs are kept; memory by default.
        agent: the agent's id; tasks are scoped by it.
        guards: asked before a submit, a call and an outcome.
        call: how `task.call` reaches other agents; by URL by default.
        use: how `task.tool` uses the agent's tools; without it there are none.
        provides: what `task.use` gives.
        follower: reads what happens in the store.
        transport: for that, as `codin.connect` takes it.
        resolver: for that, to find agents by name.
        credential, trust: for that, as `codin.connect` takes them.
        identity: of the agent in the paths of calls; its id and something random by default.
        closing_update: end a streamed artifact with an update that repeats its whole text; some clients need it.
        closing_message: say the answer's text in the completed status too, for clients that read only messages.
        rerunnable: run a task again that was WORKING when the process died, instead of failing it.
        push: how push notifications go out; without it there are none.
        keys: sign them.
        new_id: makes task and context ids.
    """

    def __init__(
        self,
        handler: Handler,
        store: TaskStore | None = None,
        *,
        agent: str = "agent",
        limits: Limits | None = None,
        guards: Sequence[Guard] = (),
        call: CallAgent | None = None,
        use: UseTool | None = None,
        provides: Provides | None = None,
        follower: Follower | None = None,
        transport: Transport | str | None = None,
        resolver: Resolver | None = None,
        credential: Credential | None = None,
        trust: TrustPolicy | None = None,
        identity: str | None = None,
        closing_update: bool = True,
        closing_message: bool = False,
        rerunnable: bool = False,
        push: PushPolicy | None = None,
        keys: KeyRing | None = None,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self.agent = agent
        self.identity: str = identity or identity_of(agent)
        self.limits: Limits = limits or Limits()
        self.store: TaskStore = store or MemoryStore()
        self._rerunnable = rerunnable
        self._new_id = new_id
        self._live = Live(self.store, self.limits, self._attach)
        self._stage = Stage(self.store, self._live, self.limits)
        self._intake = Intake(
            self.store,
            self._live,
            self._stage,
            self.limits,
            guards,
            self._on_commit,
            new_id,
            rerunnable=rerunnable,
        )
        self._pushes: Pushes | None = None
        if push is not None:
            from codin.task._push import Pushes  # a manager that pushes nothing loads nothing for it

            self._pushes = Pushes(push, agent, keys, self.store, self._live, self._on_commit, self._stage.holder)
        self._follower = follower
        self._once = Once(self.store)
        self._starting: asyncio.Task[None] | None = None
        self._started = False
        self._closed = False
        self._calls = Calls(transport, resolver, credential, trust)
        self._calls_off = call is None  # another way to call knows for itself what it leaves behind
        self._sweeping: asyncio.TimerHandle | None = None
        self._runner = self._stage.runner = Runner(
            handler,
            self.limits,
            guards=guards,
            call=call or self._calls,
            use=use,
            provides=provides,
            identity=self.identity,
            closing_update=closing_update,
            closing_message=closing_message,
            released=self._stage.released,
            abandoned=self._stage.abandoned,
            elsewhere=self._intake.go_on,
            begins_again=self._call_off_orphans,
        )

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store and take up what an earlier process left. Called by the first request if by nobody else."""
        if self._started:
            return
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        await self.store.open()
        if self._follower is not None:
            try:
                await self._follower.follow(self.store)
            except BaseException:
                await self.store.close()
                raise
        self._started = True
        self._runner.open()
        self._sweep_later()
        if self._pushes is not None:
            await self._pushes.start()
        for owner, task_id, state in await self.store.unfinished(self.agent):
            if not state.interrupted:
                await self._stage.recover(owner, task_id, state, rerunnable=self._rerunnable)

    def wrap(self, wrapper: Callable[[Handler], Handler]) -> None:
        """Run the handler inside of another one from now on, which may time or trace it."""
        self._runner.handler = wrapper(self._runner.handler)

    async def drain(self) -> None:
        """Take no more messages, wait for running turns up to `limits.drain`, and let go of the rest."""
        self._stage.draining = True
        if not self._started:
            return
        if self._sweeping is not None:
            self._sweeping.cancel()
        working = {run.worker for run in self._live.runs.values() if run.worker is not None and not run.parked}
        if working:
            await asyncio.wait(working, timeout=self.limits.drain)
        for run in tuple(self._live.runs.values()):
            if run.worker is None:
                continue
            if run.parked or self._rerunnable:
                run.stop = "park"  # what it has asked or done so far is in the log; the next process goes on
                run.worker.cancel()
            elif run.stop is None and not run.log.closed:
                run.ending = self._runner.spawn(self._runner.end(run, "shutdown"))
        if self._runner.tasks:
            await asyncio.wait(set(self._runner.tasks), timeout=self.limits.cancel_grace + 1)
        if self._pushes is not None:
            await self._pushes.drain()
        await self._calls.close()
        self._runner.close()

    async def close(self) -> None:
        """Drain, and let the store go. Managers that share a store each opened it, and each has to close it."""
        await self.drain()
        if self._started and not self._closed:
            self._closed = True
            if self._follower is not None:
                await self._follower.unfollow()
            await self.store.close()

    def _sweep_later(self) -> None:
        period = min(3600.0, self.limits.log_retention, self.limits.task_retention)
        self._sweeping = asyncio.get_running_loop().call_later(period, self._sweep)

    def _sweep(self) -> None:
        now = now_ms()
        limits = self.limits
        self._runner.spawn(
            self.store.trim(
                chunks_before=now - int(limits.log_retention * 1000),
                tasks_before=now - int(limits.task_retention * 1000),
            )
        )
        if self._pushes is not None:
            self._runner.spawn(self._pushes.sweep())
        self._sweep_later()

    @property
    def running(self) -> int:
        """Turns that run now."""
        return self._runner.running

    # -- messages ------------------------------------------------------------------------------------------------------

    async def submit(
        self,
        caller: Caller,
        request: a2a.SendMessageRequest,
        *,
        streaming: bool = False,
        key: str | None = None,
        called: CallLimits | None = None,
        extensions: Sequence[str] = (),
    ) -> Turn:
        """Take a message in: a new task, or the next message of one.

        Args:
            streaming: the turn will be read with `Turn.stream`.
            key: an `Idempotency-Key`; the same key with the same request gives the same turn.
            called: the limits of the call, when an agent calls.
            extensions: those of the agent that the client has activated.

        Raises:
            TaskNotFound: the message names a task this caller does not have.
            UnsupportedOperation: the task has ended, is busy (reason TASK_BUSY), or the limits of the call are used up
                (CALL_CYCLE, CALL_TOO_DEEP, CALL_EXPIRED, CALL_BUDGET_SPENT).
            InvalidParams: the message names a context that is not the task's.
            IdempotencyConflict: the key was used for another request.
            Overloaded: too much is running or waiting, or the server is shutting down.
        """
        if called is not None:
            self.admit(called)
        configuration = request.configuration
        history_length = configuration.history_length if configuration else None
        snapshot = streaming or (configuration is not None and configuration.return_immediately)
        if not self._started:
            await self.start()
        owner = self._owner(caller, request.tenant)
        push = configuration.task_push_notification_config if configuration else None
        incoming = Incoming(called, wishes_of(configuration, extensions), history_length, snapshot, push)
        if key is not None:
            return await self._submit_once(owner, caller, request, incoming, key)
        run, taken = await self._take(owner, caller, request.message, incoming)
        return Turn(run.log, run.number, history_length, taken)

    async def _submit_once(
        self, owner: Owner, caller: Caller, request: a2a.SendMessageRequest, incoming: Incoming, key: str
    ) -> Turn:
        digest = digest_of(request.to_dict())
        incoming.key = key, digest
        made: list[Turn] = []

        async def submit() -> tuple[Claim, Settled]:
            run, taken = await self._take(owner, caller, request.message, incoming)
            made.append(Turn(run.log, run.number, incoming.history_length, taken))
            return Claim(key, digest, run.log.task_id, run.number), partial(run.log.settled, run.number)

        used = await self._once.claim(owner, key, digest, submit)
        return made[0] if used is None else await self._rejoin(owner, used, incoming.history_length)

    def _take(
        self, owner: Owner, caller: Caller, message: a2a.Message, incoming: Incoming
    ) -> Awaitable[tuple[Run, bytes | None]]:
        if incoming.push is None:
            return self._intake.take(owner, caller, message, incoming)
        return self._take_with(incoming.push, owner, caller, message, incoming)

    def admit(self, called: CallLimits) -> None:
        """Refuse a call whose limits are used up. Raises UnsupportedOperation, as `submit` does."""
        admit(called, self.identity, self.limits.max_hops)

    async def _take_with(
        self,
        config: a2a.TaskPushNotificationConfig,
        owner: Owner,
        caller: Caller,
        message: a2a.Message,
        incoming: Incoming,
    ) -> tuple[Run, bytes | None]:
        """A message that brings a push configuration along: both are in one commit."""
        pushes = self._pushing()
        reserved = await pushes.reserve(owner, message, config, self._new_id)
        try:
            run, taken = await self._intake.take(owner, caller, message, incoming, reserved)
        except BaseException:
            pushes.refused(reserved)
            raise
        pushes.taken(reserved, run.log, run.number)
        return run, taken

    async def _rejoin(self, owner: Owner, claim: Claim, history_length: int | None) -> Turn:
        """The turn that an idempotency key made."""
        log = (await self._live.find(owner, claim.task_id)).log
        await log.settled()
        if log.head:  # its entries are gone, and with them where the turn began and ended
            return Turn(log, claim.number, history_length, None)
        fold = Fold(log.task_id, log.context_id)
        begun = b""
        for entry in log.entries:
            entry.apply(fold)
            if entry.number == claim.number:
                begun = fold.to_json(history_length)
            elif entry.number > claim.number and isinstance(entry, StatusEntry) and entry.state.resting:
                return Turn(log, claim.number, history_length, begun, fold.to_json(history_length))
        return Turn(log, claim.number, history_length, begun)

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _attach(self, log: TaskLog) -> None:
        if self._pushes is not None:
            self._pushes.attach(log)
        else:
            log.on_commit = self._on_commit

    def _on_commit(self, log: TaskLog, batch: Sequence[Entry]) -> None:
        if log.broken is not None:
            self._live.runs.pop(log.task_id, None)
        elif log.state.resting and log.last == log.committed and isinstance(batch[-1], StatusEntry):
            self._stage.give_back(log)
            if log.closed:
                run = self._live.runs.pop(log.task_id, None)
                if log.calls is not None and self._calls_off:
                    caller = run.caller if run is not None else Caller(log.owner.caller, log.owner.tenant)
                    completed = log.state is a2a.TaskState.COMPLETED
                    self._calls.call_off(open_calls(log), caller, completed=completed)
            else:
                self._live.let_go_later(log)

    def _call_off_orphans(self, run: Run) -> None:
        """Nobody waits any more for what an earlier run of the handler has called."""
        if run.log.calls is not None and self._calls_off:
            self._calls.call_off(orphans(run.log), run.caller, completed=True)

    # -- readers -------------------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, request: a2a.GetTaskRequest) -> bytes:
        """The JSON of a `Task`. Raises TaskNotFound."""
        await self.start()
        return await self._live.get(self._owner(caller, request.tenant), request)

    async def list(self, caller: Caller, request: a2a.ListTasksRequest) -> bytes:
        """The JSON of a `ListTasksResponse`. Raises InvalidParams for a foreign page token."""
        await self.start()
        return await self._live.list(self._owner(caller, request.tenant), request)

    async def subscribe(
        self, caller: Caller, request: a2a.SubscribeToTaskRequest, after: int | None = None
    ) -> Subscription:
        """The `Task` folded to now and the tail; with `after`, what came after that entry.

        Raises:
            TaskNotFound: this caller has no such task.
            UnsupportedOperation: it has ended, and `after` is not given.
            InvalidParams: `after` is beyond the end (reason EVENT_NUMBER_UNKNOWN).
        """
        await self.start()
        return await self._live.subscribe(self._owner(caller, request.tenant), request.id, after)

    async def cancel(self, caller: Caller, request: a2a.CancelTaskRequest) -> bytes:
        """Cancel a task and give its JSON; repeated cancels get the same answer.

        Raises:
            TaskNotFound: this caller has no such task.
            TaskNotCancelable: it had another outcome first.
        """
        await self.start()
        run = await self._live.find(self._owner(caller, request.tenant), request.id)
        log = run.log
        if not log.closed:
            if run.ending is None:
                run.ending = self._runner.spawn(self._stage.end(run, "cancel"))
            await asyncio.shield(run.ending)
        await log.settled()
        if log.state is not a2a.TaskState.CANCELED:
            raise a2a.TaskNotCancelable(f"task {request.id!r} has ended ({log.state.value})")
        return (await log.snapshot())[1]

    async def push(self, caller: Caller, request: PushRequest) -> bytes:
        """Create, get, list or delete push configurations: the JSON of the answer.

        Raises:
            PushNotificationNotSupported: there are none here.
            TaskNotFound: this caller has no such task, or it has no such configuration.
            InvalidParams: a field cannot be used, or the URL may not be called from here.
            UnsupportedOperation: the task has as many as it may (reason TOO_MANY_PUSH_CONFIGS).
        """
        pushes = self._pushing()
        await self.start()
        return await pushes.run(self._owner(caller, request.tenant), request)

    async def dead_letters(self) -> list[DeadLetter]:
        """The push configurations whose delivery was given up, the oldest first."""
        await self.start()
        return [] if self._pushes is None else await self._pushes.dead_letters()

    async def revive_dead_letters(self, task_id: str | None = None) -> int:
        """Let dead letters, of one task or of all, go out again from where they stopped; how many there were."""
        await self.start()
        return 0 if self._pushes is None else await self._pushes.revive_dead_letters(task_id)

    def _pushing(self) -> Pushes:
        if self._pushes is None:
            raise a2a.PushNotificationNotSupported("this agent does not push; subscribe to the task instead")
        return self._pushes

    def _owner(self, caller: Caller, tenant: str | None) -> Owner:
        if tenant and caller.tenant and tenant != caller.tenant:
            raise a2a.PermissionDenied(f"tenant {tenant!r} is not the caller's")
        return _owner(tenant or caller.tenant, self.agent, caller.id)
