"""A model that says what a test tells it to, and agents and tools made with it."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from google.adk import agents
from google.adk.agents import BaseAgent, LlmAgent
from google.adk.events import Event, RequestInput
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.tools import LongRunningFunctionTool
from google.genai import types
from pydantic import Field

__all__ = ["Call", "Script", "Scripted", "ask_human", "event", "loop", "parallel", "request", "sequence", "speaker"]

Call: TypeAlias = tuple[str, Mapping[str, Any]]
Script: TypeAlias = str | Call | list[Call] | LlmResponse | Exception


class Scripted(BaseLlm):
    """Gives its answers in their order, text word by word; then "done"."""

    answers: list[Any] = Field(default_factory=list[Any])
    heard: list[list[types.Content]] = Field(default_factory=list[list[types.Content]])

    def __init__(self, *answers: Script) -> None:
        super().__init__(model="scripted")
        self.answers = list(answers)

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        self.heard.append(list(llm_request.contents))
        answer = self.answers.pop(0) if self.answers else "done"
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, LlmResponse):
            yield answer
        elif isinstance(answer, str):
            for word in answer.split(" ") if stream else ():
                yield _response([types.Part(text=word if answer.endswith(word) else f"{word} ")], partial=True)
            yield _response([types.Part(text=answer)])
        else:
            calls = cast("list[Call]", answer if isinstance(answer, list) else [answer])
            parts = [types.Part(function_call=types.FunctionCall(name=name, args=dict(args))) for name, args in calls]
            yield _response(parts)


def _response(parts: list[types.Part], *, partial: bool = False) -> LlmResponse:
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=3, candidates_token_count=2, total_token_count=5
    )
    content = types.Content(role="model", parts=parts)
    return LlmResponse(content=content, partial=partial, usage_metadata=None if partial else usage)


def speaker(name: str, *answers: Script, tools: Sequence[Any] = (), **options: Any) -> LlmAgent:
    """An agent with a model of its own."""
    return LlmAgent(name=name, model=Scripted(*answers), tools=list(tools), **options)


def sequence(*steps: BaseAgent) -> BaseAgent:
    """One after the other."""
    return _deprecated("SequentialAgent", steps)


def parallel(*steps: BaseAgent) -> BaseAgent:
    """All at once."""
    return _deprecated("ParallelAgent", steps)


def loop(*steps: BaseAgent, times: int) -> BaseAgent:
    """Again and again."""
    return _deprecated("LoopAgent", steps, max_iterations=times)


def _deprecated(kind: str, steps: Sequence[BaseAgent], **options: Any) -> BaseAgent:
    """ADK wants people to move to `Workflow`, and many have not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(agents, kind)(name="steps", sub_agents=list(steps), **options)


def event(text: str, **fields: Any) -> Event:
    """Something that is said."""
    return Event(content=types.Content(role="model", parts=[types.Part(text=text)]), **fields)


def request(message: str, *, payload: Any = None, schema: Any = None) -> RequestInput:
    """Something that is asked."""
    return RequestInput(message=message, payload=payload, response_schema=schema)


def _ask_human(question: str) -> None:
    """Ask a person, and wait."""


_ask_human.__name__ = "ask_human"
ask_human = LongRunningFunctionTool(_ask_human)
