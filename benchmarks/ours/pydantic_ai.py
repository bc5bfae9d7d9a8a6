"""A Pydantic AI agent whose model streams words from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from pydantic_ai import Agent, ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "build", "direct"]


async def _words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    for piece in PIECES:
        yield piece


def build() -> Agent:
    """The agent."""
    return Agent(FunctionModel(stream_function=_words), name="words")


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    agent = build()

    async def run() -> None:
        text = ""
        async with agent.run_stream("go") as result:
            # By default it would gather for a tenth of a second what codin passes on at once.
            async for piece in result.stream_text(delta=True, debounce_by=None):
                text += piece
        assert text == TEXT, text

    return run
