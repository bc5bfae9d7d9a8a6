"""Who asks the caller of a task, one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from codin.task._task import Task

__all__ = ["asking"]

_LOCKS: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def asking(task: Task) -> asyncio.Lock:
    """Held while the task's caller is asked: a task has one question open at a time, and nothing is written meanwhile.

    What a framework runs side by side waits here, where a handler of one's own just asks in its order.
    """
    return _LOCKS.setdefault(task.id, asyncio.Lock())
