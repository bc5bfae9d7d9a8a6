"""Whose turn it is: the turn locks of contexts, their leases in the store, and the runs that have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import copy_context

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import StatusEntry
from codin.task._ids import random_id
from codin.task._ledger import Ledger, limits_in
from codin.task._limits import Limits
from codin.task._live import Live
from codin.task._log import TaskLog
from codin.task._outcome import status_entry
from codin.task._protocol import NO_LEASE, Lease, Owner, TaskStore
from codin.task._run import Run, Stop
from codin.task._runner import Runner
from codin.task._turns import Turns

__all__ = ["Stage"]


class Stage:
    """Lets one run of a context work at a time, here and in every process with the same store.

    Attributes:
        runner: runs the handlers; set before the first run.
        draining: nobody else goes on here.
    """

    runner: Runner

    def __init__(self, store: TaskStore, live: Live, limits: Limits) -> None:
        self._store = store
        self._live = live
        self._limits = limits
        self._turns: Turns[Run] = Turns()
        self.holder: str = random_id()
        self.draining: bool = False

    # -- turns ---------------------------------------------------------------------------------------------------------

    def enter(self, run: Run, most: int | None = None) -> bool:
        """Take the turn lock of the run's context, or queue behind those who have it; whether it has to wait.

        Raises:
            Overloaded: `most` wait already.
        """
        log = run.log
        place = (log.owner, log.context_id)
        if self._turns.enter(place):
            return False
        if most is not None and self._turns.waiting(place) >= most:
            raise a2a.Overloaded(f"{most} tasks wait in context {log.context_id!r}", retry_after=1.0)
        run.context = copy_context()  # its own, and not that of whoever lets it go on
        self._turns.wait(place, run)
        return True

    def go(self, run: Run) -> None:
        """The run has its turn."""
        if run.parked and run.stop is None and run.live is not None:
            run.holds_turn = True
            self.runner.resume(run, run.live)
            return
        if run.stop is not None:  # its coroutine was let go while the answer waited for the turn
            former = run
            run = self._live.runs[run.log.task_id] = Run(run.log, self._limits, run.caller)
            run.number, run.live, run.called, run.wishes = former.number, former.live, former.called, former.wishes
        run.holds_turn = True
        self.runner.start(run)

    def released(self, run: Run) -> None:
        """A run rests or has ended: whoever has waited longest in its context goes on."""
        if not run.holds_turn:
            return
        run.holds_turn = False
        log = run.log
        if self.draining:
            return  # whoever waits is SUBMITTED in the store, and the next process goes on with it
        while (following := self._turns.leave((log.owner, log.context_id))) is not None:
            if following.log.broken is None:
                following.log.append(StatusEntry(following.log.ids, a2a.TaskState.WORKING, now_ms()))
                self.go(following)
                return

    # -- leases --------------------------------------------------------------------------------------------------------

    async def lease(self, log: TaskLog) -> None:
        """Hold the lease of the log's context, until the log rests again."""
        if (coming := self.take_lease(log)) is not None:
            await coming

    def take_lease(self, log: TaskLog) -> Awaitable[None] | None:
        """The same; gives what to wait for, if the store has it not at hand."""
        if log.lease.fence:
            return None
        lease = self._store.lease(log.owner, log.context_id, self.holder)
        if not isinstance(lease, Lease):
            return self._await_lease(log, lease)
        log.lease = lease
        return None

    async def _await_lease(self, log: TaskLog, coming: asyncio.Future[Lease]) -> None:
        lease = await coming
        if log.closed or log.lease.fence:  # it has ended meanwhile, or somebody else was faster
            self._store.release(log.owner, lease)
            return
        log.lease = lease

    def give_back(self, log: TaskLog) -> None:
        """The log rests: others may have the lease."""
        if log.lease.fence:
            self._store.release(log.owner, log.lease)
            log.lease = NO_LEASE

    # -- runs that are taken up again, and runs that are stopped -------------------------------------------------------

    async def recover(self, owner: Owner, task_id: str, state: a2a.TaskState, *, rerunnable: bool) -> None:
        """Take up a task that an earlier process left: let it go on, or end it."""
        run = await self._live.find(owner, task_id)
        await self.lease(run.log)
        if state is a2a.TaskState.WORKING and not rerunnable:
            run.ledger = Ledger.read(run.log.entries, self._limits.budget)
            run.log.append(status_entry(run, a2a.TaskState.FAILED, "The task was interrupted by restart."))
            return
        self._live.runs[task_id] = run = Run(run.log, self._limits, run.caller)
        run.called = limits_in(run.log.entries)
        run.number = run.log.last
        if self.enter(run):
            return
        if state is a2a.TaskState.SUBMITTED:
            run.number = run.log.append(StatusEntry(run.log.ids, a2a.TaskState.WORKING, now_ms()))
        self.go(run)

    def abandoned(self, run: Run) -> None:
        """A handler has ended without the answer that it had asked for."""
        run.ending = self.runner.spawn(self.end(run, "abandon"))

    async def end(self, run: Run, why: Stop) -> None:
        """Stop the task of a run from outside, whoever works on it by then."""
        log = run.log
        with log.reader(log.last, until_interrupted=False):  # keeps it at hand
            await self.lease(log)
        present = self._live.runs.get(log.task_id, run)
        if present is not run:  # a message has come meanwhile, and with it another run
            if present.ending is not None:
                await present.ending
                return
            present.ending = run.ending
        if not log.closed:
            self._turns.abandon((log.owner, log.context_id), present)
            await self.runner.end(present, why)
