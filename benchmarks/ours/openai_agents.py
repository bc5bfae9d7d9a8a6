"""An agent of the OpenAI Agents SDK whose model streams words from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from agents.items import TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

from agents import Agent, Model, ModelResponse, Runner
from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "build", "direct"]


class Words(Model):
    """The model."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        raise NotImplementedError

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        begun = ResponseOutputMessage(id="m", content=[], role="assistant", status="in_progress", type="message")
        yield ResponseOutputItemAddedEvent(
            item=begun, output_index=0, sequence_number=0, type="response.output_item.added"
        )
        for number, piece in enumerate(PIECES, 1):
            yield ResponseTextDeltaEvent(
                content_index=0,
                delta=piece,
                item_id="m",
                logprobs=[],
                output_index=0,
                sequence_number=number,
                type="response.output_text.delta",
            )
        text = ResponseOutputText(annotations=[], text=TEXT, type="output_text")
        said = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
        yield ResponseOutputItemDoneEvent(
            item=said, output_index=0, sequence_number=len(PIECES) + 1, type="response.output_item.done"
        )
        response = Response(
            id="r",
            created_at=0,
            model="words",
            object="response",
            output=[said],
            parallel_tool_calls=False,
            tool_choice="auto",
            tools=[],
        )
        yield ResponseCompletedEvent(response=response, sequence_number=len(PIECES) + 2, type="response.completed")


def build() -> Agent:
    """The agent."""
    return Agent("words", model=Words())


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    agent = build()

    async def run() -> None:
        text = ""
        async for event in Runner.run_streamed(agent, "go").stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                text += event.data.delta
        assert text == TEXT, text

    return run
