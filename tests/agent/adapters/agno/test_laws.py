"""The laws of adapters, for Agno."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from agno import tools
from agno.agent import Agent
from agno.db.json import JsonDb
from agno.media import File
from agno.models.openai.like import OpenAILike
from agno.tools.function import ToolResult
from pydantic import BaseModel

from codin.testing import ModelAnswer
from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.agno.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio

tool: Any = cast("Any", tools).tool


class Place(BaseModel):
    name: str
    people: int


async def agent_of(bench: Bench, **options: Any) -> Agent:
    http = await bench.enter(httpx.AsyncClient(trust_env=False))
    model = OpenAILike(id="local", base_url=bench.url, api_key="x", http_client=http, max_retries=0)
    return Agent(
        name="agent", model=model, db=JsonDb(db_path=str(bench.folder)), add_history_to_context=True, **options
    )


async def chat(bench: Bench) -> Agent:
    return await agent_of(bench, tools=list(bench.tools))


async def structured(bench: Bench) -> Agent:
    return await agent_of(bench, output_schema=Place)


@tool(requires_confirmation=True)
def wipe(path: str) -> str:
    """Delete a file."""
    return f"wiped {path}"


async def eraser(bench: Bench) -> Agent:
    return await agent_of(bench, tools=[wipe])


async def writer(bench: Bench) -> Agent:
    def write() -> ToolResult:
        """Write it down."""
        return ToolResult(content="written", files=[File(content=b"tide", filename="note.txt")])

    def answer(body: Any) -> Any:
        done = any(message["role"] == "tool" for message in body["messages"])
        return said(body) if done else ModelAnswer(calls=[("write", {})])

    said = bench.model.answer
    bench.model.answer = answer
    return await agent_of(bench, tools=[write])


async def failing(bench: Bench) -> Agent:
    class Broken(OpenAILike):
        def ainvoke_stream(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError(bench.secret)

    return Agent(name="failing", model=Broken(id="local", base_url=bench.url, api_key="x"))


def wiping(*paths: str) -> Asking:
    questions = [Asked(f'wipe(path="{path}")', "yes", True) for path in paths]
    return Asking(eraser, questions, f"wiped {paths[-1]}", calls=[("wipe", {"path": path}) for path in paths])


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=wiping("/x"),
    several=wiping("/x", "/y"),
    file=writer,
    failing=failing,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
