"""The task that the running code works on, for code that is called deep inside a framework and is handed no task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin.task._task import Task

__all__ = ["CURRENT", "current_task"]

CURRENT: ContextVar[Task | None] = ContextVar("codin_task", default=None)


def current_task() -> Task | None:
    """The task whose run this code is part of; None outside a run.

    Known to what the handler awaits, to asyncio tasks it starts, and to threads that copy the context, as
    `asyncio.to_thread` does.
    """
    return CURRENT.get()
