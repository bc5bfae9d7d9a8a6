"""What a run streams, written to the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents import (
    Agent,
    HandoffCallItem,
    HandoffOutputItem,
    RunItem,
    StreamEvent,
    ToolCallItem,
    ToolCallOutputItem,
)
from codin.agent.adapters._activity import ToolActivity
from codin.agent.adapters._questions import object_of, parse_json
from codin.task import Task

__all__ = ["Relay"]


class Relay:
    """Takes the events of one run, in order. Several messages of one run are set apart by a blank line.

    Args:
        spoken: whether what an agent says is its answer as it stands, so that it is written as it comes.
        tools: write tool calls and their results as status updates.
    """

    def __init__(self, task: Task, *, spoken: Callable[[Agent[Any]], bool], tools: bool) -> None:
        self._task = task
        self._speaks = spoken
        self._activity = ToolActivity(task, enabled=tools)
        self._spoken = False
        self._names: dict[str, str] = {}
        self._said = ""  # of the present message
        self._wrote = False

    async def take(self, event: StreamEvent) -> None:
        """Write one event."""
        if event.type == "agent_updated_stream_event":  # also the first event of a run
            self._spoken = self._speaks(event.new_agent)
        elif event.type == "run_item_stream_event":
            await self._item(event.item)
        elif event.data.type == "response.output_item.added" and event.data.item.type == "message":
            self._said = ""
        elif event.data.type == "response.output_text.delta":
            await self._text(event.data.delta)

    async def finish(self, answer: str) -> None:
        """Write the answer, unless it is what was said last."""
        if answer != self._said:
            self._spoken, self._said = True, ""
            await self._text(answer)

    async def _text(self, text: str) -> None:
        if not text or not self._spoken:
            return
        await self._task.write(f"\n\n{text}" if self._wrote and not self._said else text)
        self._said += text
        self._wrote = True

    async def _item(self, item: RunItem) -> None:
        raw: Any = getattr(item, "raw_item", None)
        if isinstance(item, ToolCallItem | HandoffCallItem):
            call = _field(raw, "call_id") or _field(raw, "id") or ""
            self._names[call] = name = _field(raw, "name") or _field(raw, "type") or "tool"
            arguments = _field(raw, "arguments")
            parsed = parse_json(arguments) if isinstance(arguments, str) else arguments
            await self._activity.started(call, name, arguments if parsed is None else parsed)
        elif isinstance(item, ToolCallOutputItem | HandoffOutputItem):
            call = _field(raw, "call_id") or ""
            result = item.output if isinstance(item, ToolCallOutputItem) else item.target_agent.name
            await self._activity.finished(call, self._names.get(call, "tool"), result)


def _field(raw: Any, name: str) -> Any:
    return object_of(raw).get(name) if isinstance(raw, dict) else getattr(raw, name, None)
