"""The laws of adapters, for Pydantic AI."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, RunContext, Tool
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.pydantic_ai.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


async def model_of(bench: Bench) -> OpenAIChatModel:
    client = await bench.enter(AsyncOpenAI(base_url=bench.url, api_key="x", max_retries=0, timeout=60))
    return OpenAIChatModel("local", provider=OpenAIProvider(openai_client=client))


async def chat(bench: Bench) -> Agent[None, str]:
    return Agent(await model_of(bench), name="chat", tools=list(bench.tools))


async def structured(bench: Bench) -> Agent[None, Place]:
    return Agent(await model_of(bench), name="place", output_type=Place)


async def failing(bench: Bench) -> Agent[None, str]:
    def instructions() -> str:
        raise RuntimeError(bench.secret)

    return Agent(await model_of(bench), name="failing", instructions=instructions)


def paint(colour: str) -> str:
    raise CallDeferred({"question": f"Is it {colour}?"})


def measure(what: str) -> str:
    raise CallDeferred({"question": f"The {what}?"})


def enter(ctx: RunContext) -> str:
    if not ctx.tool_call_approved:
        raise ApprovalRequired({"question": "Your key?", "auth": True})
    return f"{len(ctx.tool_call_metadata['answer'])} letters"


def with_tools(*tools: Any) -> Any:
    async def make(bench: Bench) -> Agent[None, str]:
        return Agent(await model_of(bench), name="asking", tools=[Tool(tool) for tool in tools])

    return make


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(
        with_tools(paint), [Asked("Is it red?", "dark red")], "dark red", calls=[("paint", {"colour": "red"})]
    ),
    several=Asking(
        with_tools(measure),
        [Asked("The height?", "two"), Asked("The width?", "three")],
        "three",
        calls=[("measure", {"what": "height"}), ("measure", {"what": "width"})],
    ),
    authorizing=Asking(with_tools(enter), [Asked("Your key?", "tide-1")], "6 letters", calls=[("enter", {})]),
    failing=failing,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
