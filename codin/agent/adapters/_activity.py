"""Tools at work, as status updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codin.agent.adapters._questions import json_value
from codin.task import Task

__all__ = ["ACTIVITY_KEY", "ToolActivity"]

ACTIVITY_KEY = "urn:codin:a2a:activity:v1"
"""The key, in the metadata of a status, of what the agent is at: `{"tool": …}`, or `{"event": …}` of its own."""


class ToolActivity:
    """Says which tools are called and what they gave; nothing at all unless it is enabled.

    Each call is told once, however often the framework repeats it.
    """

    def __init__(self, task: Task, *, enabled: bool) -> None:
        self._task = task
        self._enabled = enabled
        self._told: set[tuple[str, str]] = set()

    async def started(self, call: str, name: str, args: Any) -> None:
        """The model has called a tool."""
        await self._tell("started", call, name, {"args": json_value(args)})

    async def finished(self, call: str, name: str, result: Any) -> None:
        """The tool has answered."""
        await self._tell("finished", call, name, {"result": json_value(result)})

    async def _tell(self, phase: str, call: str, name: str, more: Mapping[str, Any]) -> None:
        if not self._enabled or (phase, call) in self._told:
            return
        self._told.add((phase, call))
        tool = {"id": call, "name": name, "phase": phase, **more}
        await self._task.status(f"{name}: {phase}", metadata={ACTIVITY_KEY: {"tool": tool}})
