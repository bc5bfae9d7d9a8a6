"""What a graph streams while it runs, written to the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langgraph.types import Interrupt
from pydantic_core import to_json

from codin.agent.adapters._activity import ACTIVITY_KEY, ToolActivity
from codin.agent.adapters._questions import json_value, object_of
from codin.agent.adapters.langchain._calls import Calls
from codin.agent.adapters.langgraph._shape import MESSAGES
from codin.task import Task

__all__ = ["Relay"]

_READABLE = ("status", "message", "text", "progress", "note")


class Relay:
    """Takes the events of one run, in order.

    Text of messages that nodes stream side by side is written one message after the other, with a blank line between.

    Args:
        nodes: the nodes whose text is the answer; None for all, empty for none.
        events: write what nodes send through `get_stream_writer()` as status updates.
        tools: write tool calls and their results as status updates.

    Attributes:
        output: the newest values of the graph's channels.
        interrupts: the questions the run ended with.
        paused: the run ended at a question or a breakpoint.
        touched: the channels that nodes have written.
        wrote: text has been written.
    """

    def __init__(self, task: Task, calls: Calls, *, nodes: frozenset[str] | None, events: bool, tools: bool) -> None:
        self._task = task
        self._models = calls
        self._nodes = nodes
        self._events = events
        self._activity = ToolActivity(task, enabled=tools)
        self._current: str | None = None
        self._behind: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self._heard: set[str] = set()
        self._begun = False
        self._separate = False
        self.output: Any = None
        self.interrupts: dict[str, Interrupt[Any]] = {}
        self.paused = False
        self.touched: set[str] = set()
        self.wrote = False

    async def take(self, namespace: Sequence[str], mode: str, event: Any) -> None:
        """Write one event."""
        if mode == "messages":
            message, origin = event
            await self._message(message, origin)
        elif mode == "custom":
            if self._events:
                await self._custom(event)
        elif mode == "updates":
            await self._update(namespace, event)
        elif mode == "values" and not namespace:
            self.output = event
            if self._nodes is None:
                await self._added(event)

    async def finish(self) -> None:
        """Write what a message that never ended has held back."""
        while self._current is not None:
            await self._next()

    # -- text ----------------------------------------------------------------------------------------------------------

    async def _message(self, message: Any, origin: Mapping[str, Any]) -> None:
        if not isinstance(message, AIMessage):  # the same stream echoes tool results, and what nodes add for the user
            return
        whole = not isinstance(message, AIMessageChunk)
        if whole:
            self._models.add(message)
        key = message.id or ""
        if whole and key in self._heard:
            return
        self._heard.add(key)
        if self._nodes is not None and origin.get("langgraph_node") not in self._nodes:
            return
        await self._text(key, str(message.text))
        if whole or getattr(message, "chunk_position", None) == "last":
            await self._end(key)

    async def _added(self, values: Any) -> None:
        """Say what a step has added to the conversation in a way that the stream does not show, e.g. as a tuple."""
        messages = [
            message
            for message in cast("list[Any]", object_of(values).get(MESSAGES) or [])
            if isinstance(message, AIMessage) and message.id not in self._heard
        ]
        self._heard |= {message.id or "" for message in messages}
        if not self._begun:
            self._begun = True  # the first values are those the run begins with
            return
        for message in messages:
            self._models.add(message)
            await self._text(message.id or "", str(message.text))
            await self._end(message.id or "")

    async def _text(self, key: str, text: str) -> None:
        if self._current is None:
            self._current = key
            self._separate = self.wrote
        if key != self._current:
            self._behind.setdefault(key, []).append(text)
        elif text:
            await self._task.write(f"\n\n{text}" if self._separate else text)
            self._separate = False
            self.wrote = True

    async def _end(self, key: str) -> None:
        self._ended.add(key)
        if key == self._current:
            await self._next()

    async def _next(self) -> None:
        """The present message has ended: write what has come of the next one meanwhile."""
        self._current = None
        while self._behind and self._current is None:
            key = next(iter(self._behind))
            await self._text(key, "".join(self._behind.pop(key)))
            if key in self._ended:
                self._current = None

    # -- everything else -----------------------------------------------------------------------------------------------

    async def _custom(self, event: Any) -> None:
        if isinstance(event, str):
            if event:
                await self._task.status(event)
            return
        value = json_value(event)
        fields = object_of(value)
        text = next((fields[key] for key in _READABLE if isinstance(fields.get(key), str)), None)
        await self._task.status(text or to_json(value).decode(), metadata={ACTIVITY_KEY: {"event": value}})

    async def _update(self, namespace: Sequence[str], event: Mapping[str, Any]) -> None:
        for node, update in event.items():
            if node == "__interrupt__":
                if not namespace:
                    self.paused = True
                    self.interrupts |= {interrupt.id: interrupt for interrupt in update}
                continue
            for fields in cast("list[Any]", update if isinstance(update, list) else [update]):
                if not namespace:
                    self.touched |= object_of(fields).keys()
                await self._tool_activity(fields)

    async def _tool_activity(self, update: Any) -> None:
        for message in _messages(update):
            if isinstance(message, ToolMessage):
                await self._activity.finished(message.tool_call_id, message.name or "tool", str(message.text))
            elif isinstance(message, AIMessage):
                for call in message.tool_calls:
                    await self._activity.started(call["id"] or "", call["name"], call["args"])


def _messages(update: Any) -> Iterator[BaseMessage]:
    if isinstance(update, BaseMessage):
        yield update
    elif isinstance(update, dict):
        for value in cast("dict[str, Any]", update).values():
            yield from _messages(value)
    elif isinstance(update, list):
        for value in cast("list[Any]", update):
            if isinstance(value, BaseMessage):
                yield value
