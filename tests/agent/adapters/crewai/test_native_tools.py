"""Tools of codin in CrewAI, and tools of CrewAI in codin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest
from crewai.tools import tool as decorated

import codin
from codin.agent import agent
from codin.agent.adapters.crewai import native_tools
from codin.task import MemoryStore
from codin.testing import ModelServer, serving
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.natives import (
    Native,
    Scenario,
    one_that_takes_the_context_of_a_run_is_refused,
    scenarios,
    weigh,
)

pytestmark = pytest.mark.anyio


async def told(native: Any, arguments: Mapping[str, Any]) -> str:
    return native.format_output_for_agent(await native.arun(**arguments))


def made(function: Callable[..., Any]) -> Any:
    return decorated(function.__name__)(function)


@scenarios(but=[one_that_takes_the_context_of_a_run_is_refused])
async def test_tools(scenario: Scenario, model: ModelServer, llm: Any) -> None:
    adapter = import_module("codin.agent.adapters.crewai")
    case = Native(
        adapter,
        model,
        lambda tools: helper(llm, tools=tools),
        made,
        lambda native: native.args_schema.model_json_schema(),
        told,
    )
    await scenario(case)


async def test_a_crew_that_codin_does_not_serve(llm: Any) -> None:
    crew = crew_of(llm, 'call weigh {"leaves": 3}', tools=native_tools(weigh))
    assert "grams" in (await crew.akickoff()).raw
    assert "grams" in (await asyncio.to_thread(crew.kickoff)).raw


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_crew_in_a_task_that_runs_it_itself(llm: Any, threaded: bool) -> None:
    crew, store = crew_of(llm, 'call weigh {"leaves": 3}', tools=native_tools(weigh)), MemoryStore()

    @agent
    async def host(text: str) -> str:
        """Runs a crew."""
        return (await asyncio.to_thread(crew.kickoff) if threaded else await crew.akickoff()).raw

    async with serving(host, store=store) as url, codin.connect(url) as peer:
        assert "grams" in (await peer.send("go")).text
    kinds = [entry.kind for commit in await store.feed(0) for entry in commit.entries]
    assert kinds.count("tool") == 2
