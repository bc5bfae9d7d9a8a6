"""What a run hands on to an agent it calls: the path, the time, a share of the budget. And when it may not call at all.

Each agent checks before anything leaves, and each that is called checks again: a caller may be mistaken, or lie.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from codin import a2a
from codin.errors import ConnectError, DeadlineExceeded, TransportError
from codin.task._clock import now_ms
from codin.task._ledger import bill_in
from codin.task._run import Run
from codin.trust import Budget, CallLimits, agent_of, digest_of

__all__ = ["Allowance", "admit", "allowance", "check_cycle"]

_TICK = 0.1  # seconds that a timer, and its reading, may be off


def check_cycle(path: Sequence[str], identity: str | None) -> None:
    """Refuse a call of an agent that waits for its outcome. Raises UnsupportedOperation (reason CALL_CYCLE)."""
    if identity is not None and identity in path:
        chain = " -> ".join(agent_of(each) or each for each in (*path[path.index(identity) :], identity))
        raise a2a.UnsupportedOperation(
            f"this call would go round in a circle: {chain}",
            reason="CALL_CYCLE",
            hint="that agent waits for this very answer; answer with what is known, or ask another agent",
        )


def _check_hops(hops: int, most: int) -> None:
    if hops > most:
        raise a2a.UnsupportedOperation(
            f"this call would be number {hops} in a chain of agents that call each other; {most} are allowed",
            reason="CALL_TOO_DEEP",
            hint="do the work here, or answer with what is known",
        )


def _check_time(left: float) -> None:
    if left <= 0:
        raise a2a.UnsupportedOperation(
            "the time for this call is over",
            reason="CALL_EXPIRED",
            hint="answer with what is known; who begins again has to give it more time",
        )


def _check_budget(budget: Budget) -> None:
    if budget.spent:
        what = "tokens" if budget.tokens is not None and budget.tokens <= 0 else "money"
        raise a2a.UnsupportedOperation(
            f"the budget for this call is spent: no {what} left",
            reason="CALL_BUDGET_SPENT",
            hint="answer with what is known; call no more agents for this task",
        )


def admit(limits: CallLimits, identity: str | None, max_hops: int) -> None:
    """Refuse a call that should not have been made.

    Raises:
        UnsupportedOperation: with the reason CALL_CYCLE, CALL_TOO_DEEP, CALL_EXPIRED or CALL_BUDGET_SPENT.
    """
    check_cycle(limits.path, identity)
    _check_hops(len(limits.path), max_hops)
    if limits.deadline is not None:
        _check_time(limits.deadline - now_ms())
    _check_budget(limits.budget)


class Allowance:
    """One call while it is under way.

    Attributes:
        limits: what the callee is told.
    """

    __slots__ = ("_run", "_settled", "_until", "limits")

    def __init__(self, run: Run, limits: CallLimits, until: float) -> None:
        self._run = run
        self._until = until
        self._settled = False
        self.limits: CallLimits = limits

    @property
    def left(self) -> float:
        """The seconds for it, more than none."""
        return max(self._until - asyncio.get_running_loop().time(), 0.001)

    @property
    def settled(self) -> bool:
        """Whether the callee has said what it has cost, and will cost no more."""
        return self._settled

    def learn(self, value: a2a.Task | a2a.Message, peer: str) -> None:
        """Take the bill of what the peer at this address answered."""
        run = self._run
        if isinstance(value, a2a.Task):
            state = value.status.state
            self._settled = state.terminal or state.interrupted
            task = f"{peer} {value.id}"
        else:
            self._settled = True
            task = f"{peer} {value.message_id}"
        bill = bill_in(value.metadata)
        record = run.account().charge(task, bill, run.usage) if bill else None
        if record is not None and run.stop is None and not run.parked and not run.log.closed:
            run.take(record)


@asynccontextmanager
async def allowance(
    run: Run, identity: str, asked: Budget | None = None, timeout: float | None = None
) -> AsyncGenerator[Allowance]:
    """Reserve what one call may take, and settle it when the call is over.

    Args:
        identity: of the agent that calls.
        asked: its share of the budget; all that is free by default.
        timeout: seconds for the call; what the run has left by default.

    Raises:
        UnsupportedOperation: there may be no call, and why.
        DeadlineExceeded: all of the budget was reserved by other calls for all of the time.
    """
    loop = asyncio.get_running_loop()
    until = run.deadline if timeout is None else min(run.deadline, loop.time() + timeout)
    path = (*(run.called.path if run.called is not None else ()), identity)
    _check_hops(len(path), run.limits.max_hops)
    _check_time(until - loop.time())
    ledger = run.account()
    try:
        async with asyncio.timeout_at(until):
            share = await ledger.reserve(asked, run.usage)
    except TimeoutError:
        raise DeadlineExceeded(
            "the budget was reserved by other calls for all of the time of this one",
            hint="share it out: task.call(…, budget=Budget(tokens=…))",
        ) from None
    known = True
    try:
        _check_budget(share)
        deadline = now_ms() + int((until - loop.time()) * 1000)
        if run.called is not None and run.called.deadline is not None:
            deadline = min(deadline, run.called.deadline)
        chain = run.called.chain if run.called is not None else ()
        limits = CallLimits(path, deadline, share, digest_of(chain[-1]) if chain else None, chain)
        call = Allowance(run, limits, until)
        try:
            yield call
            known = call.settled
        except BaseException as error:
            if isinstance(error, DeadlineExceeded) and until == run.deadline and loop.time() >= until - _TICK:
                error.hint = "the time of the task's turn was up, which its caller, or run_timeout, had set"
            lost = isinstance(error, TransportError | asyncio.CancelledError) and not isinstance(error, ConnectError)
            known = call.settled or not lost
            raise
    finally:
        ledger.settle(share, known=known)
