"""What happens in a run, written to the task: the answer as it is said, the tools, and what it all costs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from crewai.events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMStreamChunkEvent,
    ToolUsageErrorEvent,
    ToolUsageFinishedEvent,
    ToolUsageStartedEvent,
)
from crewai.types.usage_metrics import UsageMetrics

from codin.agent.adapters._activity import ToolActivity
from codin.task import Task

__all__ = ["Relay"]

_Deed: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_FINAL = "Final Answer:"
_REASONING = ("Thought:", "Action:", _FINAL)  # how a model begins that calls its tools in words


class Relay:
    """Writes what one run says.

    Args:
        tools: tell tool calls and their results.

    Attributes:
        answers: given every event with its source; whether the text in it, if there is any, belongs to the answer.
    """

    def __init__(self, task: Task, *, tools: bool) -> None:
        self.answers: Callable[[Any, Any], bool] = _none
        self._task = task
        self._activity = ToolActivity(task, enabled=tools)
        self._cost = UsageMetrics()
        self._told = False
        self._speeches: dict[str, _Speech] = {}
        self._written: list[str] = []

    def deed(self, source: Any, event: Any) -> _Deed | None:
        """What is to be done about an event; called in the thread it happens in."""
        answers = self.answers(source, event)
        if isinstance(event, LLMStreamChunkEvent):
            if event.tool_call is not None or not event.chunk or not answers:
                return None
            return partial(self._piece, event.call_id, event.chunk)
        if isinstance(event, LLMCallCompletedEvent | LLMCallFailedEvent):
            return partial(self._called, event.call_id, getattr(event, "usage", None))
        if isinstance(event, ToolUsageStartedEvent):
            return partial(self._activity.started, event.event_id, event.tool_name, event.tool_args)
        if isinstance(event, ToolUsageFinishedEvent | ToolUsageErrorEvent):
            call = event.started_event_id or event.event_id
            said = event.output if isinstance(event, ToolUsageFinishedEvent) else str(event.error)
            return partial(self._activity.finished, call, event.tool_name, said)
        return None

    def usage(self) -> dict[str, int]:
        """What the models of this run have cost; empty when none told."""
        if not self._told:
            return {}
        cost = self._cost
        return {
            "input_tokens": cost.prompt_tokens,
            "output_tokens": cost.completion_tokens,
            "total_tokens": cost.total_tokens,
        }

    async def finish(self, answer: str) -> None:
        """Write the answer, as far as it has not been streamed."""
        for call in list(self._speeches):
            await self._end(call)
        written = "".join(self._written).rstrip()
        if not written.endswith(answer.strip()):
            await self._write(f"\n\n{answer}" if written else answer)

    async def _called(self, call: str, usage: dict[str, Any] | None) -> None:
        cost = UsageMetrics.from_provider_dict(usage)
        if cost is not None:
            self._told = True
            self._cost.add_usage_metrics(cost)
        await self._end(call)

    async def _piece(self, call: str, piece: str) -> None:
        speech = self._speeches.setdefault(call, _Speech())
        speech.hear(piece)
        await self._say()

    async def _end(self, call: str) -> None:
        if call in self._speeches:
            self._speeches[call].ended = True
            await self._say()

    async def _say(self) -> None:
        """Write the pieces of the model that began first; the others wait until it has ended."""
        while self._speeches:
            call, speech = next(iter(self._speeches.items()))
            if piece := speech.take():
                separate = self._written and not speech.begun
                speech.begun = True
                await self._write(f"\n\n{piece}" if separate else piece)
            if not speech.ended:
                return
            del self._speeches[call]

    async def _write(self, piece: str) -> None:
        self._written.append(piece)
        await self._task.write(piece)


class _Speech:
    """The text of one model call. What is reasoning, in the format in which CrewAI asks for it, is left out."""

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        self._held = ""
        self._open = False

    def hear(self, piece: str) -> None:
        self._held += piece

    def take(self) -> str:
        """The pieces of the answer that are certain."""
        if not self._open:
            head = self._held.lstrip("` \n")
            if _FINAL in head:
                self._open = True
                self._held = head.partition(_FINAL)[2]
            elif not any(mark.startswith(head) or head.startswith(mark) for mark in _REASONING):
                self._open = True
        if not self._open:
            return ""
        said = self._held if self.begun else self._held.lstrip()
        self._held = ""
        return said


def _none(source: Any, event: Any) -> bool:
    return False
