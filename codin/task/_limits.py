"""The bounds of a task manager, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from codin.trust import Budget

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds. Reaching a bound is an error with a name, never a queue that grows.

    Args:
        max_running: turns that run at once; above it a send is refused (`Overloaded`).
        max_waiting: new tasks that wait for the turn before them in one context.
        max_entries: entries of one task; above it the task fails.
        max_task_bytes: bytes of all entries of one task; above it the task fails.
        max_uncommitted: entries of one task that wait for the store; above it `write` waits.
        run_timeout: how long one turn may run; above it the task fails.
        park_timeout: how long a question keeps the coroutine that asked it; later the answer runs `handle` again.
        cancel_grace: how long a canceled run may unwind.
        drain: how long a shutdown waits for running turns.
        log_retention: how long the chunks of an ended task are kept; its fold stays.
        task_retention: how long an ended task is kept.
        max_hops: how many calls there may be in a chain of agents; above it a call is refused.
        budget: what one task may cost, with everything it calls; above it calls are refused.
    """

    max_running: int = 1000
    max_waiting: int = 32
    max_entries: int = 100_000
    max_task_bytes: int = 64 * 1024 * 1024
    max_uncommitted: int = 1024
    run_timeout: float = 600.0
    park_timeout: float = 300.0
    cancel_grace: float = 5.0
    drain: float = 10.0
    log_retention: float = 24 * 3600.0
    task_retention: float = 30 * 24 * 3600.0
    max_hops: int = 16
    budget: Budget = field(default_factory=Budget)
