"""An Agno agent whose model streams words from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from agno.agent import Agent, RunContentEvent
from agno.models.base import Model
from agno.models.response import ModelResponse

from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "build", "direct"]


class Words(Model):
    """The model."""

    def invoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return ModelResponse(role="assistant", content=TEXT)

    async def ainvoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return self.invoke()

    def invoke_stream(self, *args: Any, **kwargs: Any) -> Iterator[ModelResponse]:
        for piece in PIECES:
            yield ModelResponse(role="assistant", content=piece)

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        for piece in PIECES:
            yield ModelResponse(role="assistant", content=piece)

    def _parse_provider_response(self, response: Any, **kwargs: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response


def build() -> Agent:
    """The agent."""
    return Agent(name="words", model=Words(id="words"))


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    agent: Any = build()

    async def run() -> None:
        text = ""
        async for event in agent.arun("go", stream=True):
            if isinstance(event, RunContentEvent):
                text += str(event.content)
        assert text == TEXT, text

    return run
