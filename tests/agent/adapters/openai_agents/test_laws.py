"""The laws of adapters, for the OpenAI Agents SDK."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from agents import Agent, OpenAIChatCompletionsModel, function_tool
from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.openai_agents.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


async def model_of(bench: Bench) -> OpenAIChatCompletionsModel:
    client = await bench.enter(AsyncOpenAI(base_url=bench.url, api_key="x", max_retries=0, timeout=60))
    return OpenAIChatCompletionsModel("local", openai_client=client)


async def chat(bench: Bench) -> Agent[Any]:
    return Agent("chat", model=await model_of(bench), tools=[function_tool(tool) for tool in bench.tools])


async def structured(bench: Bench) -> Agent[Any]:
    return Agent("place", model=await model_of(bench), output_type=Place)


async def failing(bench: Bench) -> Agent[Any]:
    def instructions(*_: Any) -> str:
        raise RuntimeError(bench.secret)

    return Agent("failing", model=await model_of(bench), instructions=instructions)


async def asking(bench: Bench) -> Agent[Any]:
    @function_tool(needs_approval=True)
    def wipe(path: str) -> str:
        return f"wiped {path}"

    return Agent("asking", model=await model_of(bench), tools=[wipe])


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(asking, [Asked('Approve wipe(path="/x")?', "yes")], "wiped /x", calls=[("wipe", {"path": "/x"})]),
    several=Asking(
        asking,
        [Asked('Approve wipe(path="/x")?', "yes"), Asked('Approve wipe(path="/y")?', "no, keep it", False)],
        "wiped /x",
        calls=[("wipe", {"path": "/x"}), ("wipe", {"path": "/y"})],
    ),
    failing=failing,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
