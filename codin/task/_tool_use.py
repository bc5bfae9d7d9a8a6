"""The record of a tool that is used in a task: what was asked of it before it runs, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from pydantic_core import to_json

from codin.errors import CodinError
from codin.task._clock import now_ms
from codin.task._entry import PrivateEntry, plain
from codin.task._task import Task, run_of

__all__ = ["ToolUse"]

_LONGEST = 200  # letters of a name: a model may make up any


class ToolUse:
    """One use of one tool.

    Args:
        name: as it was asked for.
    """

    def __init__(self, task: Task, name: str) -> None:
        self._run = run_of(task)
        self._name = name[:_LONGEST]
        self._version = ""
        self._number = 0  # of the entry that it began with
        self._started = perf_counter()

    async def begin(self, version: str, arguments: Mapping[str, Any]) -> None:
        """Record what is asked of the tool, and wait until that is committed: nothing is done that nobody knows of.

        Args:
            arguments: as the log may have them, without secrets.
        """
        run = self._run
        self._version = version
        self._started = perf_counter()
        if run.replaying:
            return
        record = {"name": self._name, "version": version, "arguments": plain(arguments)}
        run.take(PrivateEntry("tool", now_ms(), to_json(record)))
        self._number = run.log.last
        await run.log.settled()

    def end(self, outcome: str, backend: str = "") -> None:
        """Record how it ended; past the limits, and also while the run is being stopped.

        Args:
            outcome: "done", or the code of an error.
            backend: where it ran.
        """
        run, log = self._run, self._run.log
        if run.replaying or run.parked or run.stop == "park" or log.closed or log.broken is not None:
            return  # nothing can be written: an entry without an end says that nobody knows
        record: dict[str, Any] = {"name": self._name, "outcome": outcome}
        if self._version:
            record |= {"version": self._version, "ms": round((perf_counter() - self._started) * 1000, 3)}
        if self._number:
            record |= {"began": self._number, "backend": backend}
        log.append(PrivateEntry("tool", now_ms(), to_json(record)))

    def failed(self, error: BaseException, backend: str = "") -> None:
        """The same, of what ended by an exception."""
        if isinstance(error, CodinError):
            outcome = error.code
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            outcome = "canceled"
        else:
            outcome = type(error).__name__
        self.end(outcome, backend)
