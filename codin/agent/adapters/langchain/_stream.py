"""What a runnable gives, put into the task; and what happens inside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.prompt_values import PromptValue

from codin.agent.adapters._activity import ACTIVITY_KEY, ToolActivity
from codin.agent.adapters._questions import json_value, object_of, readable
from codin.agent.adapters.langchain._calls import Calls
from codin.agent.adapters.langchain._tool import TEXT_EVENT
from codin.errors import TaskClosed
from codin.task import AgentResponse, Task

__all__ = ["Events", "Relay"]

_MESSAGES = (AIMessageChunk, BaseMessage)  # what nearly every piece is comes first: only an exact match is quick


class Relay:
    """Writes text as it comes, and keeps the rest for the end.

    Args:
        text_key: the key of a dict whose text is the answer.
    """

    def __init__(self, task: Task, text_key: str | None) -> None:
        self._task = task
        self._text_key = text_key
        self._value: Any = None
        self._calls: Any = None

    async def take(self, piece: Any) -> None:
        """Take one piece, or the whole answer."""
        if isinstance(piece, str):
            await self._task.write(piece)
        elif isinstance(piece, _MESSAGES):
            await self._task.write(self._said(piece))
        else:
            await self._take_value(piece)

    def _said(self, message: BaseMessage) -> str:
        """The text of a message. The calls of tools that nobody in the runnable makes are kept: they are its answer."""
        if isinstance(message, AIMessageChunk):
            if message.tool_call_chunks:
                self._calls = message if self._calls is None else self._calls + message
        elif isinstance(message, AIMessage) and message.tool_calls:
            self._calls = message
        content = message.content
        return content if isinstance(content, str) else str(message.text)

    async def _take_value(self, piece: Any) -> None:
        fields = object_of(piece)
        if self._text_key is not None and self._text_key in fields:
            await self.take(fields[self._text_key])
            piece = {key: value for key, value in fields.items() if key != self._text_key} or None
        if isinstance(piece, list) and piece and isinstance(last := cast("list[Any]", piece)[-1], BaseMessage):
            await self.take(last)  # a conversation: its last message is the answer
        elif isinstance(piece, PromptValue):
            await self._task.write(piece.to_string())
        elif piece is not None:
            self._value = piece if self._value is None else _added(self._value, piece)

    def response(self) -> AgentResponse:
        """The end: data, if there is any beside the text."""
        data = json_value(self._value)
        if self._calls is not None and data is None:
            data = {"tool_calls": json_value(self._calls.tool_calls)}
        return AgentResponse.completed(data=data)


def _added(value: Any, piece: Any) -> Any:
    """What LangChain does with pieces: it adds them, and where that cannot be, the newest is the whole."""
    try:
        return value + piece
    except TypeError:
        return piece


class Events(Calls):
    """Tools at work, and custom events, as status updates.

    It follows the model calls, too, because LangChain asks every handler about every token, and asking is what costs.

    Code in a thread has callbacks on a loop of its own. It is not waited for there: a sync call on the event loop
    would wait for itself.
    """

    def __init__(self, task: Task, *, events: bool, tools: bool) -> None:
        super().__init__()
        self._task = task
        self._events = events
        self._activity = ToolActivity(task, enabled=tools)
        self._names: dict[UUID, str] = {}
        self._loop = asyncio.get_running_loop()
        self._sent: list[Future[None]] = []

    async def on_tool_start(self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool is called."""
        self._names[run_id] = name = str(serialized.get("name", "tool"))
        await self._tell(self._activity.started(str(run_id), name, kwargs.get("inputs") or input_str))

    async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It has answered."""
        result = output.text if isinstance(output, BaseMessage) else output
        await self._tell(self._activity.finished(str(run_id), self._names.pop(run_id, "tool"), result))

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It could not."""
        await self._tell(self._activity.finished(str(run_id), self._names.pop(run_id, "tool"), "failed"))

    async def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The runnable has something to say."""
        if self._events and name != TEXT_EVENT:
            value = json_value(data)
            event = {ACTIVITY_KEY: {"event": {"name": name, "data": value}}}
            await self._tell(self._task.status(readable(value), metadata=event))

    async def _tell(self, work: Coroutine[Any, Any, None]) -> None:
        if asyncio.get_running_loop() is self._loop:
            await _open(work)
        else:
            self._sent.append(asyncio.run_coroutine_threadsafe(_open(work), self._loop))

    async def settle(self) -> None:
        """Wait for what was said in threads."""
        await asyncio.gather(*map(asyncio.wrap_future, self._sent))


async def _open(work: Coroutine[Any, Any, None]) -> None:
    with suppress(TaskClosed):  # a thread may talk on when the task has ended
        await work
