"""What a run streams, written to the task."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from pydantic_ai import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    NativeToolCallPart,
    PartDeltaEvent,
    PartStartEvent,
    RunContext,
    TextPart,
    TextPartDelta,
)

from codin.agent.adapters._activity import ToolActivity
from codin.task import Task

__all__ = ["Relay"]


class Relay:
    """Takes the events of one run, in order. Several messages of one run are set apart by a blank line.

    Args:
        spoken: text is written as it comes.
        tools: write tool calls and their results as status updates.
    """

    def __init__(self, task: Task, *, spoken: bool, tools: bool) -> None:
        self._task = task
        self._spoken = spoken
        self._activity = ToolActivity(task, enabled=tools)
        self._said = ""  # of the present message, since the last native tool call in it
        self._before = ""  # that call
        self._wrote = False

    async def hear(self, _: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        """Write the events of one step."""
        async for event in events:
            await self._take(event)

    async def _take(self, event: AgentStreamEvent) -> None:
        if isinstance(event, PartStartEvent):
            if event.index == 0:
                self._said = self._before = ""
            if isinstance(event.part, NativeToolCallPart):  # what comes before it is a thought, unless nothing follows
                self._before, self._said = self._said or self._before, ""
            elif isinstance(event.part, TextPart):  # the start of a part holds its first token
                await self._text(event.part.content)
        elif isinstance(event, PartDeltaEvent):
            if isinstance(event.delta, TextPartDelta):
                await self._text(event.delta.content_delta)
        elif isinstance(event, FunctionToolCallEvent):
            call = event.part
            await self._activity.started(call.tool_call_id, call.tool_name, call.args_as_dict())
        elif isinstance(event, FunctionToolResultEvent):
            part = event.part
            await self._activity.finished(part.tool_call_id, part.tool_name or "tool", part.content)

    async def finish(self, answer: str) -> None:
        """Write the answer, unless it is what was said last."""
        if answer != (self._said or self._before):
            self._spoken, self._said = True, ""
            await self._text(answer)

    async def _text(self, text: str) -> None:
        if not text or not self._spoken:
            return
        await self._task.write(f"\n\n{text}" if self._wrote and not self._said else text)
        self._said += text
        self._wrote = True
