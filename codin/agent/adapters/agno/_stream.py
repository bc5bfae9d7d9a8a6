"""Events of a run, put into the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from agno.run.agent import CustomEvent, RunOutput
from agno.run.base import RunStatus
from agno.run.team import TeamRunOutput

from codin.agent.adapters._activity import ACTIVITY_KEY, ToolActivity
from codin.agent.adapters._questions import json_value, readable
from codin.agent.adapters.agno._files import artifacts_of
from codin.task import AgentResponse, Task

__all__ = ["Relay", "RunFailed"]

_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_OWN_FIELDS = {field.name for field in fields(CustomEvent)}


class RunFailed(Exception):
    """A run that Agno has given up. The text is for the log, not for the caller."""


class Relay:
    """Takes the events of one run: of an agent, or of a team and its members.

    Args:
        spent: the metrics of the run up to its pause, when it goes on after one; Agno counts on.

    Attributes:
        output: how the run ended or where it waits.
    """

    def __init__(self, task: Task, *, events: bool, tools: bool, spent: Any = None) -> None:
        self._task = task
        self._events = events
        self._activity = ToolActivity(task, enabled=tools)
        self._before = _counts(spent)
        self._requests = _counts(None)
        self._member_requests = _counts(None)
        self._ended: Any = None
        self._failed: Any = None
        self._data: Any = None
        self._wrote = False
        self._separate = False
        self._hushed = False
        self.output: RunOutput | TeamRunOutput | None = None

    async def take(self, event: Any) -> None:
        """Take one event."""
        if isinstance(event, (RunOutput, TeamRunOutput)):
            self.output = event
            return
        name = str(event.event).removeprefix("Team")
        if isinstance(event, CustomEvent):
            await self._custom(event)
        elif name.startswith("ModelRequest"):
            self._model_request(name, event)
        elif name.startswith("ToolCall"):
            await self._tool(name, event.tool)
        elif event.parent_run_id:
            self._hushed = self._hushed or name == "RunPaused"  # the team says so in its answer, too
        elif name == "RunContent":
            await self._content(event.content)
        elif name == "RunCompleted":
            self._ended = event
        elif name == "RunError":
            self._failed = event

    def _model_request(self, name: str, event: Any) -> None:
        if name == "ModelRequestStarted":
            self._separate, self._hushed = self._wrote, False
        elif name == "ModelRequestCompleted":
            counted = self._member_requests if event.parent_run_id else self._requests
            for key, count in _counts(event).items():
                counted[key] += count

    async def _content(self, content: Any) -> None:
        if not isinstance(content, str):
            self._data = content if content is not None else self._data
        elif content and not self._hushed:
            await self._task.write(f"\n\n{content}" if self._separate else content)
            self._separate, self._wrote = False, True

    async def _tool(self, name: str, tool: Any) -> None:
        call, called = tool.tool_call_id or "", tool.tool_name or "tool"
        if name == "ToolCallStarted":
            await self._activity.started(call, called, tool.tool_args)
        else:
            await self._activity.finished(call, called, tool.result)

    async def _custom(self, event: CustomEvent) -> None:
        if self._events:
            value = json_value({key: value for key, value in vars(event).items() if key not in _OWN_FIELDS})
            await self._task.status(readable(value), metadata={ACTIVITY_KEY: {"event": value}})

    # -- the end -------------------------------------------------------------------------------------------------------

    async def response(self) -> AgentResponse:
        """What the run has come to.

        Raises:
            RunFailed: Agno reported an error.
        """
        if self._failed is not None:
            return _failure(self._failed)
        # A canceled run is reported as canceled, and then as completed.
        if self.output is None or self.output.status is RunStatus.cancelled or self._ended is None:
            return AgentResponse.failed("The run was canceled before it was complete.")
        content = self._ended.content
        if isinstance(content, str):
            text = None if self._wrote else content
        else:
            text, self._data = None, content if content is not None else self._data
        return AgentResponse.completed(text, data=json_value(self._data), artifacts=await artifacts_of(self._ended))

    def usage(self) -> Mapping[str, int]:
        """What this part of the run has cost: the run's own calls as Agno counts them, and those of the members.

        Empty when no model was called.
        """
        own = self._requests
        if self.output is not None and self.output.metrics is not None:
            own = {key: count - self._before[key] for key, count in _counts(self.output.metrics).items()}
        spent = {key: own[key] + self._member_requests[key] for key in _COUNTS}
        return spent if any(spent.values()) else {}


def _counts(metrics: Any) -> dict[str, int]:
    return {key: getattr(metrics, key, None) or 0 for key in _COUNTS}


def _failure(event: Any) -> AgentResponse:
    """A guardrail speaks to the caller; any other error may hold a secret."""
    if event.error_type == "input_check_error":
        return AgentResponse.rejected(event.content or "The input was refused.")
    if event.error_type == "output_check_error":
        return AgentResponse.failed(event.content or "The answer was refused.")
    raise RunFailed(f"{event.error_type}: {event.content}")
