"""Runs handlers: one supervised asyncio task per run, and nothing a handler does touches another run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from codin import a2a
from codin.errors import StoreError
from codin.task._clock import now_ms
from codin.task._current import CURRENT
from codin.task._entry import PrivateEntry
from codin.task._failure import report
from codin.task._guard import Guard, Handler
from codin.task._guarding import refusal
from codin.task._limits import Limits
from codin.task._outcome import outcome_entries, status_entry
from codin.task._response import AgentResponse, NeedAuth, NeedInput, Reject
from codin.task._run import LimitReached, ResumeMismatch, Run, Stop
from codin.task._task import CallAgent, Provides, Task, UseTool

__all__ = ["Runner"]

_logger = logging.getLogger("codin.task")

_LATE = 0.5
"""Seconds behind a caller's deadline. One that is still there cancels by then, and knows why the task ended."""

_STOPPED = {
    "abandon": (a2a.TaskState.FAILED, "The agent did not wait for the answer to its question."),
    "cancel": (a2a.TaskState.CANCELED, None),
    "timeout": (a2a.TaskState.FAILED, "The run took longer than it may and was stopped."),
    "shutdown": (a2a.TaskState.FAILED, "The server was shut down before the run ended."),
}


class _Bystander(asyncio.Task[None]):
    """Does nothing. Who closes an event loop cancels every task of it, and this one too, before any of them goes on."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(_forever(loop), loop=loop, name="codin: is the loop closed?", context=Context())

    def __del__(self) -> None:
        """A program that does not drain leaves it pending, of which asyncio would warn."""


async def _forever(loop: asyncio.AbstractEventLoop) -> None:
    await loop.create_future()


class Runner:
    """Starts, parks, resumes and stops runs.

    Attributes:
        handler: what is run; it may be wrapped before the first run.

    Args:
        released: called when a run gives its turn back (it rests, or has ended).
        abandoned: called when a handler has ended without the answer it had asked for.
        elsewhere: called when what a handler had asked for has come another way.
        begins_again: called before a handler runs that has run before, be it in another process.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        guards: Sequence[Guard],
        call: CallAgent | None,
        use: UseTool | None,
        provides: Provides | None,
        identity: str,
        closing_update: bool,
        closing_message: bool,
        released: Callable[[Run], None],
        abandoned: Callable[[Run], None],
        elsewhere: Callable[[Run], Awaitable[None]],
        begins_again: Callable[[Run], None],
    ) -> None:
        self.handler = handler
        self._limits = limits
        self._guards = guards
        self._call = call
        self._use = use
        self._provides = provides
        self._identity = identity
        self._closing_update = closing_update
        self._closing_message = closing_message
        self._released = released
        self._abandoned = abandoned
        self._elsewhere = elsewhere
        self._begins_again = begins_again
        self.running = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self._bystander: asyncio.Task[None] | None = None
        self._deadlines: dict[Run, float] = {}  # in the order in which they come
        self._alarm: asyncio.TimerHandle | None = None
        self._early: dict[Run, asyncio.TimerHandle] = {}  # of those whose callers gave them less time

    def open(self) -> None:
        """Before the first run."""
        self._bystander = _Bystander()

    def close(self) -> None:
        """Nothing runs any more."""
        if self._bystander is not None:
            self._bystander.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A supervised task: it outlives the request that asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("%s", error, exc_info=None if isinstance(error, StoreError) else error)

    def start(self, run: Run) -> None:
        """Run the handler from the top."""
        self._begin_turn(run)
        run.on_park = self._park
        run.on_elsewhere = self._elsewhere
        run.worker = worker = asyncio.get_running_loop().create_task(self._work(run), context=run.context)
        self.tasks.add(worker)  # the worker takes itself out

    def resume(self, run: Run, message: a2a.Message) -> None:
        """Hand the answer to a coroutine that waits for it."""
        run.parked = False
        self._begin_turn(run)
        if run.answer is not None:
            run.answer.set_result(message)

    def _begin_turn(self, run: Run) -> None:
        self.running += 1
        loop = asyncio.get_running_loop()
        run.deadline = latest = loop.time() + self._limits.run_timeout
        if run.called is not None and run.called.deadline is not None:
            given = loop.time() + max(0, run.called.deadline - now_ms()) / 1000
            if given < latest:  # it would be out of order among the others, and has its own alarm
                run.deadline = given
                self._early[run] = loop.call_at(min(given + _LATE, latest), self._expire, run)
                return
        self._deadlines[run] = run.deadline
        if self._alarm is None:
            self._alarm = loop.call_at(run.deadline, self._ring)

    def _ring(self) -> None:
        """One alarm serves all runs whose time is ours to set: it is the same, so the first to begin ends first."""
        self._alarm = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for run, deadline in tuple(self._deadlines.items()):
            if deadline > now:
                self._alarm = loop.call_at(deadline, self._ring)
                return
            self._expire(run)

    def _expire(self, run: Run) -> None:
        self._forget(run)
        if run.stop is None and not run.log.closed:
            run.ending = self.spawn(self.end(run, "timeout"))

    def _forget(self, run: Run) -> None:
        """The run has no deadline any more."""
        self._deadlines.pop(run, None)
        if self._early and (alarm := self._early.pop(run, None)) is not None:
            alarm.cancel()

    def _park(self, run: Run) -> None:
        run.parked = True
        self.running -= 1
        self._forget(run)
        self._released(run)

    async def end(self, run: Run, why: Stop) -> None:
        """Stop a run from outside: ask it to unwind, wait a while, then set the state in any case."""
        run.stop = why
        log = run.log
        if why == "cancel" and not log.closed:
            log.append(PrivateEntry("cancel", now_ms(), b"{}"))
        worker = run.worker
        parked = run.parked
        if worker is not None and not worker.done():
            worker.cancel()
            if not parked:
                await asyncio.wait({worker}, timeout=self._limits.cancel_grace)
                if worker.done():
                    self._over(run, worker)  # one that had not begun has not cleaned up either
        if not log.closed:
            state, text = _STOPPED[why]
            log.append(status_entry(run, state, text))
        self._forget(run)
        self._released(run)
        await log.settled()

    async def _work(self, run: Run) -> None:
        try:
            response = await self._respond(run)
            if response is not None and run.stop is None and not run.parked and not run.log.closed:
                self._conclude(run, response)
        except StoreError as error:
            _logger.error("task %s cannot be written any more: %s", run.log.task_id, error)
        finally:
            if run.worker is not None:
                self._over(run, run.worker)
            if run.stop is None:
                self._rests(run)

    def _over(self, run: Run, worker: asyncio.Task[None]) -> None:
        """The worker has ended; called again it does nothing."""
        if run.worker is not worker:
            return
        self.tasks.discard(worker)
        run.worker = None  # a worker holds its run: without this, only the garbage collector frees the two
        if not run.parked:
            self.running -= 1
            self._forget(run)

    def _rests(self, run: Run) -> None:
        if not run.parked:
            self._released(run)
        elif not run.log.closed and run.log.broken is None:  # it asked, and ended without the answer
            run.stop = "abandon"
            self._abandoned(run)

    async def _respond(self, run: Run) -> AgentResponse | None:
        """The run's response; None when it was stopped from outside and its outcome is somebody else's."""
        try:
            if run.log.committed < run.number:
                await run.log.settled(run.number)
            if not run.begun:
                run.recall()
                self._begins_again(run)
            task = Task(run, self._call, self._guards, self._identity, self._use, self._provides)
            CURRENT.set(task)  # each run is an asyncio task, with a context of its own
            try:
                response = await self.handler(task)
            except (NeedInput, NeedAuth, Reject) as wanted:
                response = wanted.response
            if type(response) is not AgentResponse:
                _logger.error("task %s: the agent returned %r", run.log.task_id, type(response))
                return AgentResponse.failed("INVALID_AGENT_RESPONSE: the agent returned something that is no response.")
            return await self._guarded(run, task, response) if self._guards else response
        except (LimitReached, ResumeMismatch) as error:
            return AgentResponse.failed(error.message)
        except asyncio.CancelledError:
            return self._cancelled(run)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a handler that calls sys.exit() must not end the server
            if run.stop is not None or run.log.closed or run.log.broken is not None:
                return None
            told = report(error, f"task {run.log.task_id}")
            return AgentResponse.failed(f"{told}; details are in the server's log under the task's id.")

    def _cancelled(self, run: Run) -> AgentResponse | None:
        if run.stop is None and self._bystander is not None and self._bystander.cancelling():
            run.stop = "park"  # the event loop is being closed: what is in the log is for the next process
        return None if run.stop else AgentResponse.failed("The agent stopped itself.")

    async def _guarded(self, run: Run, task: Task, response: AgentResponse) -> AgentResponse:
        for guard in self._guards:
            refused = await refusal(run, partial(guard.outcome, task, response))
            if refused is not None:
                return AgentResponse.failed(refused.reason or "The outcome was refused.")
        return response

    def _conclude(self, run: Run, response: AgentResponse) -> None:
        if not run.begun:  # it failed before its handler was called
            run.log.append(status_entry(run, a2a.TaskState.FAILED, response.text))
            return
        if run.replaying and response.outcome != "failed":
            response = AgentResponse.failed("RESUME_MISMATCH: the agent asked fewer questions than the first time.")
        try:
            entries = outcome_entries(
                run, response, closing_update=self._closing_update, closing_message=self._closing_message
            )
        except Exception as error:
            _logger.exception("task %s: the response cannot be sent", run.log.task_id)
            entries = [status_entry(run, a2a.TaskState.FAILED, f"INVALID_AGENT_RESPONSE: {error}")]
        run.log.append(*entries)
