"""Messages on their way in: from a request to the entry that begins a turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import Entry, InputEntry, StatusEntry
from codin.task._fold import Fold
from codin.task._guard import Decision, Guard
from codin.task._guarding import decision_entry, held_state
from codin.task._ledger import limits_entry
from codin.task._limits import Limits
from codin.task._live import Live
from codin.task._log import OnCommit, TaskLog
from codin.task._position import Position
from codin.task._protocol import Claim, Owner, TaskStore
from codin.task._run import Run
from codin.task._stage import Stage
from codin.task._wishes import Wishes
from codin.trust import Caller, CallLimits

if TYPE_CHECKING:
    from codin.task._push import Reserved

__all__ = ["Incoming", "Intake"]

_REDACTED = "[redacted]"


@dataclass(slots=True)
class Incoming:
    """What comes with a message.

    Attributes:
        called: the limits of the call, when an agent calls.
        wishes: what it wants of the answer.
        history_length: of the `Task` in the answer.
        snapshot: whether that is wanted as it is when the turn begins.
        push: a configuration for push notifications.
        key: an `Idempotency-Key` and the digest of the request.
    """

    called: CallLimits | None = None
    wishes: Wishes | None = None
    history_length: int | None = None
    snapshot: bool = False
    push: a2a.TaskPushNotificationConfig | None = None
    key: tuple[str, str] | None = None


class Intake:
    """Takes messages in."""

    def __init__(
        self,
        store: TaskStore,
        live: Live,
        stage: Stage,
        limits: Limits,
        guards: Sequence[Guard],
        on_commit: OnCommit,
        new_id: Callable[[], str],
        *,
        rerunnable: bool,
    ) -> None:
        self._store = store
        self._live = live
        self._stage = stage
        self._limits = limits
        self._guards = guards
        self._on_commit = on_commit
        self._new_id = new_id
        self._rerunnable = rerunnable

    async def take(
        self,
        owner: Owner,
        caller: Caller,
        message: a2a.Message,
        incoming: Incoming,
        reserved: Reserved | None = None,
    ) -> tuple[Run, bytes | None]:
        """Begin a turn, or queue it, as soon as its message is appended.

        Returns:
            The run; and, if that is wanted, the `Task` as it is when the turn begins.

        Raises:
            A2AError: the message is refused; `TaskManager.submit` says how.
        """
        if self._stage.draining:
            raise a2a.Overloaded("the server is shutting down", retry_after=1.0)
        if self._stage.runner.running >= self._limits.max_running:
            raise a2a.Overloaded(f"{self._limits.max_running} turns are running", retry_after=1.0)
        decisions = await self._ask_guards(caller, message) if self._guards else ()
        if message.task_id:
            run, body = await self._continue(owner, caller, message)
        else:
            run, body = self._open(owner, caller, message, reserved.place.task_id if reserved else self._new_id())
        log = run.log
        stopped = bool(decisions) and decisions[-1].action != "pass"
        try:
            if (coming := self._stage.take_lease(log)) is not None:
                await coming
            queued = not stopped and self._stage.enter(run, self._limits.max_waiting)
        except BaseException:
            self._forget(log)
            raise
        # From here to the entry nothing waits: what was checked still holds.
        begin: list[Entry] = [InputEntry(now_ms(), body)]
        called, wishes = incoming.called, incoming.wishes
        if called is not None:
            begin.append(limits_entry(called))
        if wishes is not None:
            run.wish(wishes)
        if reserved is not None:
            begin.append(reserved.entry)
        run.bind(called)
        if stopped:
            return run, self._stop(run, [*begin, *run.unrecorded()], decisions, incoming)
        return run, self._begin(run, begin, decisions, incoming, queued=queued)

    def _forget(self, log: TaskLog) -> None:
        """A message was refused; of a new task nothing stays."""
        if log.last == 0:
            self._stage.give_back(log)
            del self._live.runs[log.task_id]

    async def go_on(self, run: Run) -> None:
        """What the run had asked for has come another way: a turn begins as by a message, which nobody has sent."""
        log = run.log
        message = a2a.Message(
            message_id=self._new_id(), role=a2a.Role.USER, parts=[a2a.Part(text=_REDACTED)], task_id=log.task_id
        )
        await self.take(log.owner, run.caller, message, Incoming())

    def _open(self, owner: Owner, caller: Caller, message: a2a.Message, task_id: str) -> tuple[Run, bytes]:
        context_id = message.context_id or self._new_id()
        vars(message).update(task_id=task_id, context_id=context_id)  # four times as fast as two assignments
        run = Run(TaskLog(self._store, owner, task_id, context_id, Fold(task_id, context_id)), self._limits, caller)
        run.log.on_commit = self._on_commit
        body = message.to_json()
        run.live = message
        run.begin(message, Position(1, body))
        self._live.runs[task_id] = run
        return run, body

    async def _continue(self, owner: Owner, caller: Caller, message: a2a.Message) -> tuple[Run, bytes]:
        assert message.task_id is not None
        run = await self._live.find(owner, message.task_id)
        log = run.log
        if message.context_id and message.context_id != log.context_id:
            raise a2a.InvalidParams.of(
                "message.contextId", f"is not the context of task {log.task_id!r}", hint="leave contextId out"
            )
        with log.reader(log.last, until_interrupted=False):  # keeps it at hand
            await log.settled()
            if log.state.interrupted:
                await self._stage.lease(log)
        run = self._live.runs.get(log.task_id, run)  # who waited may find another run, or another state
        if log.state.terminal:
            raise a2a.UnsupportedOperation(
                f"task {log.task_id!r} has ended ({log.state.value})",
                hint="send the message without a taskId to begin a new task in the context",
            )
        if not log.state.interrupted:
            raise a2a.UnsupportedOperation(
                f"task {log.task_id!r} is at work ({log.state.value})",
                reason="TASK_BUSY",
                hint="wait until it rests, or send the message without a taskId",
            )
        message.context_id = log.context_id
        body = message.to_json()
        if log.state is a2a.TaskState.AUTH_REQUIRED:
            body = message.model_copy(update={"parts": [a2a.Part(text=_REDACTED)], "metadata": None}).to_json()
        if not run.parked or run.stop is not None:
            live, run = run.live, Run(log, self._limits, caller)
            run.live = live
            self._live.runs[log.task_id] = run
        run.caller = caller
        if not Position.holds(log.entries):  # else this one says yes or no, and the handler gets the one before
            run.live = message
        return run, body

    def _begin(
        self,
        run: Run,
        entries: list[Entry],
        decisions: Sequence[Decision],
        incoming: Incoming,
        *,
        queued: bool,
    ) -> bytes | None:
        """Append the input and the state it leads to, in one commit; then run, unless it is queued.

        Returns:
            With `snapshot`, the `Task` as it is when the turn begins.
        """
        log = run.log
        if queued or self._rerunnable:
            entries += run.unrecorded()
        if decisions:
            entries += map(decision_entry, decisions)
        state = a2a.TaskState.SUBMITTED if queued else a2a.TaskState.WORKING
        entries.append(StatusEntry(log.ids, state, entries[0].at))
        run.number = log.last + len(entries)
        if incoming.key is not None:
            log.claim = Claim(*incoming.key, log.task_id, run.number)
        log.append(*entries)
        if not queued:
            self._stage.go(run)
        return log.fold.to_json(incoming.history_length) if incoming.snapshot else None

    def _stop(
        self,
        run: Run,
        begin: Sequence[Entry],
        decisions: Sequence[Decision],
        incoming: Incoming,
    ) -> bytes | None:
        """A guard has refused the message, or holds it: the status that answers the turn comes with it."""
        log, stopped = run.log, decisions[-1]
        begun = Fold.restore(log.fold.last, log.fold.changed, log.fold.to_json())
        entries: list[Entry] = [*begin, *map(decision_entry, decisions)]
        for each in entries:
            each.apply(begun)
        state = a2a.TaskState.REJECTED if stopped.action == "refuse" else held_state(stopped)
        text = run.agent_message([a2a.Part(text=stopped.reason or "A guard stopped this message.")])
        run.number = log.last + len(entries)
        if incoming.key is not None:
            log.claim = Claim(*incoming.key, log.task_id, run.number)
        log.append(*entries, StatusEntry(log.ids, state, begin[0].at, text))
        if log.closed and run.worker is not None:  # its question has been answered, and not to it
            run.stop = "cancel"
            run.worker.cancel()
        return begun.to_json(incoming.history_length) if incoming.snapshot else None

    async def _ask_guards(self, caller: Caller, message: a2a.Message) -> Sequence[Decision]:
        decisions: list[Decision] = []
        for guard in self._guards:
            decision = await guard.submit(caller, message)
            if decision is not None:
                decisions.append(decision)
                if decision.action != "pass":
                    break
        return decisions
