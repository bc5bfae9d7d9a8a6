"""A crew of one agent and one task, whose model streams words from memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from crewai import Agent, BaseLLM, Crew, Task
from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import llm_call_context

from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "build", "direct"]

_FOLDER = tempfile.TemporaryDirectory()
os.environ["CREWAI_STORAGE_DIR"] = _FOLDER.name  # a crew that runs makes databases, in the user's home by default


class Words(BaseLLM):
    """The model. It tells what CrewAI's own models tell."""

    def call(self, messages: Any, *args: Any, from_task: Any = None, from_agent: Any = None, **kwargs: Any) -> str:
        with llm_call_context():
            self._emit_call_started_event(messages, from_task=from_task, from_agent=from_agent)
            for piece in PIECES:
                self._emit_stream_chunk_event(piece, from_task, from_agent)
            self._emit_call_completed_event(TEXT, LLMCallType.LLM_CALL, from_task, from_agent, messages)
        return TEXT

    def get_input_tokens_count(self, *args: Any, **kwargs: Any) -> int:
        return 100  # by default it is counted with a warning

    def get_context_window_size(self) -> int:
        return 100_000


def build(stream: bool = False) -> Crew:
    """The crew."""
    agent = Agent(role="Words", goal="say words", backstory="a lexicon", llm=Words(model="words"))
    task = Task(description="{text}", expected_output="words", agent=agent)
    return Crew(name="words", agents=[agent], tasks=[task], stream=stream)


def direct() -> Callable[[], Awaitable[None]]:
    """One run of a copy, since no crew runs twice at once; streamed as who shows it to a person would."""
    crew = build(stream=True)

    async def run() -> None:
        text = ""
        copy: Any = crew.copy()
        async for chunk in await copy.akickoff({"text": "go"}):
            text += chunk.content
        assert text == TEXT, text

    return run
