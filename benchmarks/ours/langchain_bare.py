"""A prompt and a model that streams words from memory, in a chain without a parser: its pieces are messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from benchmarks.ours.langgraph import Words
from benchmarks.ours.words import TEXT

__all__ = ["TEXT", "build", "direct"]


def build() -> Runnable[Any, BaseMessage]:
    """The chain."""
    return ChatPromptTemplate.from_messages([("human", "{question}")]) | Words()


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    chain = build()

    async def run() -> None:
        text = ""
        async for piece in chain.astream({"question": "go"}):
            text += piece.text
        assert text == TEXT, text

    return run
