"""The laws of adapters, for LangChain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import BaseMessage, BaseMessageChunk
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from codin.testing.adapter_laws import AdapterCase, Bench, Law, laws
from tests.agent.adapters.langchain.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


async def model_of(bench: Bench) -> ChatOpenAI:
    http = await bench.enter(httpx.AsyncClient(trust_env=False))
    return ChatOpenAI(
        model="local",
        base_url=bench.url,
        api_key=SecretStr("x"),
        http_async_client=http,
        stream_usage=True,
        max_retries=0,
    )


async def chat(bench: Bench) -> Any:
    """The loop around a model that has tools, and a memory by session."""
    tools = {made.name: made for made in map(tool, bench.tools)}
    model: Any = await model_of(bench)
    bound = model.bind_tools(list(tools.values())) if tools else model
    memory: dict[str, list[Any]] = defaultdict(list)

    async def converse(messages: list[BaseMessage], config: RunnableConfig) -> AsyncIterator[BaseMessageChunk]:
        said = [*memory[config.get("configurable", {})["session_id"]], *messages]
        calls: Any = ()
        while True:
            whole: Any = None
            async for chunk in bound.astream(said):
                whole = chunk if whole is None else whole + chunk
                if chunk.text:
                    yield chunk
            calls = whole.tool_calls
            said.append(whole)
            if not calls:
                break
            said += [await tools[call["name"]].ainvoke(call) for call in calls]
        memory[config.get("configurable", {})["session_id"]] = said

    return RunnableLambda(converse)


async def structured(bench: Bench) -> Any:
    model: Any = await model_of(bench)
    return model.with_structured_output(Place, method="function_calling")


def failing(bench: Bench) -> Any:
    def fail(text: str) -> str:
        raise RuntimeError(bench.secret)

    return RunnableLambda(fail)


CASE = AdapterCase(NAME, chat=chat, structured=structured, failing=failing, cannot=CANNOT)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
