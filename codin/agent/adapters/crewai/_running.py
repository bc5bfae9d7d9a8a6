"""Which run of codin the present code of CrewAI belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from codin.task import Answer

__all__ = ["RUNNING", "Halt", "Waits", "running"]

T = TypeVar("T")


class Halt(BaseException):
    """The run is over. No Exception: CrewAI tries what raises one again, twice."""


class Waits(Protocol):
    """A run, for code in its threads."""

    def ask(self, question: str, data: Any = None) -> Answer:
        """Put a question to the caller and block until it is answered. Raises Halt when the run is stopped."""
        ...

    def wait(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None) -> T:
        """What `work` gives on another event loop, by default the task's. Raises Halt when the run is stopped."""
        ...


RUNNING: ContextVar[Waits | None] = ContextVar("codin_crewai_run", default=None)


def running() -> Waits | None:
    """The run whose code this is. CrewAI hands the context on to every thread it starts."""
    return RUNNING.get()
