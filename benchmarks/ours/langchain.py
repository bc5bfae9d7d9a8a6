"""A prompt, a model that streams words from memory, and a parser, in a chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from benchmarks.ours.langgraph import Words
from benchmarks.ours.words import TEXT

__all__ = ["TEXT", "build", "direct"]


def build() -> Runnable[dict[str, str], str]:
    """The chain."""
    return ChatPromptTemplate.from_messages([("human", "{question}")]) | Words() | StrOutputParser()


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    chain = build()

    async def run() -> None:
        text = ""
        async for piece in chain.astream({"question": "go"}):
            text += piece
        assert text == TEXT, text

    return run
