"""The laws of adapters, for LangGraph."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import httpx
import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.langgraph.graphs import build
from tests.agent.adapters.langgraph.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


class Found(MessagesState):
    structured_response: Place


class Form(TypedDict, total=False):
    topic: str
    answers: Annotated[list[str], operator.add]


async def model_of(bench: Bench) -> ChatOpenAI:
    http = await bench.enter(httpx.AsyncClient(trust_env=False))
    return ChatOpenAI(
        model="local", base_url=bench.url, api_key=SecretStr("x"), http_async_client=http, stream_usage=True
    )


async def saver_of(bench: Bench) -> AsyncSqliteSaver:
    return await bench.enter(AsyncSqliteSaver.from_conn_string(str(bench.folder / "threads.db")))


async def chat(bench: Bench) -> Any:
    model: Any = await model_of(bench)
    if bench.tools:
        model = model.bind_tools(bench.tools)

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = build(MessagesState).add_node("agent", agent).add_edge(START, "agent")
    if bench.tools:
        builder.add_node("tools", ToolNode(list(bench.tools)))
        builder.add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    return builder.compile(await saver_of(bench), name="chat")


async def structured(bench: Bench) -> Any:
    plain: Any = await model_of(bench)
    model = plain.with_structured_output(Place, method="function_calling")

    async def agent(state: Found) -> dict[str, Any]:
        return {"structured_response": await model.ainvoke(state["messages"])}

    return build(Found).add_node("agent", agent).add_edge(START, "agent").compile(name="place")


async def asking(bench: Bench) -> Any:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"heard {interrupt('What colour?')}")]}

    builder = build(MessagesState).add_node("node", node).add_edge(START, "node")
    return builder.compile(await saver_of(bench), name="asking")


def form(*questions: Any) -> Any:
    """A node for each question, all in one step."""

    async def make(bench: Bench) -> Any:
        def asker(question: Any) -> Any:
            def node(state: Form) -> dict[str, Any]:
                return {"answers": [f"heard {interrupt(question)}"]}

            return node

        builder = build(Form)
        for number, question in enumerate(questions):
            builder.add_node(f"ask{number}", asker(question)).add_edge(START, f"ask{number}")
        return builder.compile(await saver_of(bench), name="form")

    return make


def authorizing(bench: Bench) -> Any:
    def node(state: Form) -> dict[str, Any]:
        return {"answers": [f"{len(interrupt({'question': 'Your key?', 'auth': True}))} letters"]}

    return build(Form).add_node("node", node).add_edge(START, "node").compile(name="form")


def failing(bench: Bench) -> Any:
    def node(state: MessagesState) -> dict[str, Any]:
        raise RuntimeError(bench.secret)

    return build(MessagesState).add_node("node", node).add_edge(START, "node").compile(name="failing")


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(asking, [Asked("What colour?", "red")], "heard red"),
    several=Asking(form("colour", "size"), [Asked("colour", "red"), Asked("size", "big")], "heard big"),
    authorizing=Asking(authorizing, [Asked("Your key?", "tide-1")], "6 letters"),
    failing=failing,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
