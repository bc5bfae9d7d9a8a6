"""How a guard's decision takes effect while a run goes on: recorded, refused, or held until somebody has answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic_core import to_json

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import PrivateEntry
from codin.task._guard import Decision
from codin.task._run import Run

__all__ = ["decision_entry", "held_state", "refusal"]


async def refusal(run: Run, consult: Callable[[], Awaitable[Decision | None]]) -> Decision | None:
    """Ask a guard until it no longer holds, and record what it says. Gives the decision when it is a refusal."""
    while (decision := await consult()) is not None:
        if decision.action == "hold":
            await run.ask(held_state(decision), decision.reason, None)
            continue
        if not run.replaying:
            run.take(decision_entry(decision))
        return decision if decision.action == "refuse" else None
    return None


def held_state(decision: Decision) -> a2a.TaskState:
    """The state of a task that a guard holds."""
    return a2a.TaskState.AUTH_REQUIRED if decision.auth else a2a.TaskState.INPUT_REQUIRED


def decision_entry(decision: Decision) -> PrivateEntry:
    """A guard's decision, as it is recorded."""
    record = {"action": decision.action, "reason": decision.reason, "guard": decision.guard}
    return PrivateEntry("decision", now_ms(), to_json(record))
