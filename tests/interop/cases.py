"""Agents of every adapter on ports of their own, made as the laws of adapters make them.

CrewAI shares no environment with the others: `python -m tests.interop.cases crewai` runs in its own, and prints as JSON
where its agents are.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from codin.agent import Agent
from codin.client import connect
from codin.testing import Body, ModelAnswer, ModelServer, serving
from codin.testing.adapter_laws import AdapterCase, Bench

__all__ = ["ADAPTERS", "FAILS", "SECRET", "TEXT", "Asker", "asking", "cannot", "chatting"]

ADAPTERS = ["adk", "agno", "crewai", "langchain", "langgraph", "mcp", "openai_agents", "pydantic_ai", "remote"]
TEXT = " ".join(f"word{number}" for number in range(50))
FAILS = "capsize"  # a message with this word makes the model fail
SECRET = "tide-1"

_FAR = "langgraph"  # what a remote agent is made of

Make = Callable[[Bench], object] | None


class Asker(NamedTuple):
    """An agent that asks.

    Attributes:
        outcome: what it says in the end, when the question was answered so.
    """

    url: str
    question: str
    answer: str
    outcome: str


def cannot(adapter: str) -> Mapping[str, str]:
    """The laws that an adapter does not keep."""
    return import_module(f"tests.agent.adapters.{_FAR if adapter == 'remote' else adapter}.promises").CANNOT


def _case(adapter: str) -> AdapterCase:
    return import_module(f"tests.agent.adapters.{_FAR if adapter == 'remote' else adapter}.test_laws").CASE


@asynccontextmanager
async def chatting(adapter: str) -> AsyncGenerator[str]:
    """The URL of an agent whose model says `TEXT`, or fails."""

    def answer(body: Body) -> ModelAnswer:
        return ModelAnswer(SECRET, status=400) if FAILS in str(body["messages"]) else ModelAnswer(TEXT)

    async with _served(adapter, _case(adapter).chat, answer) as url:
        yield url


@asynccontextmanager
async def asking(adapter: str) -> AsyncGenerator[Asker]:
    """An agent that answers any message with a question."""
    case = _case(adapter).asking
    assert case is not None

    def answer(body: Body) -> ModelAnswer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        if case.calls and not results:
            return ModelAnswer(calls=case.calls)
        return ModelAnswer(f"Done: {results}")

    (asked,) = case.questions
    async with _served(adapter, case.make, answer) as url:
        yield Asker(url, asked.question, asked.answer, case.outcome)


@asynccontextmanager
async def _served(adapter: str, make: Make, answer: Callable[[Body], ModelAnswer]) -> AsyncGenerator[str]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        bench = Bench(await stack.enter_async_context(ModelServer(answer).running()), Path(folder))
        stack.push_async_callback(bench.close)
        assert make is not None
        made = make(bench)
        if inspect.isawaitable(made):
            made = await made
        agent = made if isinstance(made, Agent) else bench.adapt(made)
        url = await stack.enter_async_context(serving(agent))
        if adapter == "remote":
            url = await stack.enter_async_context(serving(await stack.enter_async_context(connect(url))))
        yield f"{url}/"


async def _main(adapter: str) -> None:
    async with chatting(adapter) as chat, asking(adapter) as ask:
        print(json.dumps({"chat": chat, "ask": ask}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
