"""A remote agent as a node and as a tool of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from codin import a2a
from codin.agent.adapters.langgraph import adapt, node, tool
from codin.client import Peer
from codin.task.stores.sqlite import SQLiteStore
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk, Turn
from tests.agent.adapters.outward import Outward, Scenario, a_refusal_is_the_result_in_words, made_of, scenarios
from tests.agent.adapters.translator import Translator

pytestmark = pytest.mark.anyio


def chat(peer: Peer | str) -> Any:
    """A graph that is nothing but the peer as a node."""
    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", node(peer))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph


@scenarios(but=[a_refusal_is_the_result_in_words])
async def test_a_node(
    scenario: Scenario, peer: Peer, target: Peer | str, translator: Translator, model: ModelServer
) -> None:
    graph = await made_of(target, chat)
    await scenario(Outward(adapt(graph.compile(name="g")), peer, translator, model, "{}", "{}"))


async def test_a_node_streams_what_the_peer_says(peer: Peer) -> None:
    turn = await Desk(adapt(chat(peer).compile(name="g"))).send("you")
    assert (turn.state, turn.text) == ("COMPLETED", "bonjour you")
    assert turn.chunks == ["bon", "jour ", "you"]


async def test_a_node_works_in_a_graph_that_codin_does_not_serve(peer: Peer) -> None:
    result = await chat(peer).compile().ainvoke({"messages": [HumanMessage("you")]})
    assert [type(message) for message in result["messages"]] == [HumanMessage, AIMessage]
    assert result["messages"][-1].text == "bonjour you"


async def test_a_peer_that_refuses_fails_the_graph(peer: Peer) -> None:
    turn = await Desk(adapt(chat(peer).compile(name="g"))).send("refuse")
    assert turn.state == "FAILED"


def _twice(state: Any) -> str:
    return state["line"] * 2


def _text(said: AIMessage) -> Any:
    return {"answer": said.text}


class Lines(TypedDict):
    line: str
    answer: Any


async def test_a_node_reads_and_writes_fields(peer: Peer) -> None:
    graph: Any = StateGraph(Lines)
    graph.add_node("ask", node(peer, reads="line", writes="answer"))
    graph.add_edge(START, "ask")
    compiled: Any = graph.compile()
    assert (await compiled.ainvoke({"line": "you"}))["answer"] == "bonjour you"
    assert (await compiled.ainvoke({"line": "data"}))["answer"] == {"fr": "bonjour"}


async def test_a_node_with_functions(peer: Peer) -> None:
    graph: Any = StateGraph(Lines)
    graph.add_node("ask", node(peer, reads=_twice, writes=_text))
    graph.add_edge(START, "ask")
    compiled: Any = graph.compile()
    assert (await compiled.ainvoke({"line": "you"}))["answer"] == "bonjour youyou"


async def test_the_answer_finds_the_peers_task_after_a_restart(
    peer: Peer, translator: Translator, tmp_path: Path
) -> None:
    async def life(text: str, task: a2a.Task | None = None) -> Turn:
        store = SQLiteStore(tmp_path / "tasks.db")
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
            desk = Desk(adapt(chat(peer).compile(name="g", checkpointer=saver)), store)
            turn = await desk.send(text, task=task)
            await desk.close()
            await store.close()
            return turn

    asked = await life("which")
    done = await life("formal", asked.task)
    assert done.text == "formal: bonjour"
    assert translator.heard == ["which"]


# -- as a tool ---------------------------------------------------------------------------------------------------------


def calling(peer: Peer | str) -> Any:
    """A graph whose first node calls the tool with what was said, and whose last node repeats the tool's result."""
    remote = tool(peer)

    def call(state: MessagesState) -> Any:
        said = str(state["messages"][-1].text)
        wanted = {"name": remote.name, "args": {"request": said}, "id": "1", "type": "tool_call"}
        return {"messages": [AIMessage("", tool_calls=[wanted])]}

    def repeat(state: MessagesState) -> Any:
        return {"messages": [AIMessage(str(state["messages"][-1].text))]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("call", call)
    graph.add_node("tools", ToolNode([remote]))
    graph.add_node("repeat", repeat)
    graph.add_edge(START, "call")
    graph.add_edge("call", "tools")
    graph.add_edge("tools", "repeat")
    return graph


async def test_a_tool_says_what_the_card_says(peer: Peer) -> None:
    remote = tool(peer)
    assert remote.name == "translator"
    assert "Says it in French." in remote.description
    assert remote.args == {"request": {"type": "string", "description": remote.args["request"]["description"]}}
    other = tool(peer, name="to french", description="Translate.")
    assert (other.name, other.description) == ("to_french", "Translate.")


@scenarios()
async def test_a_tool(
    scenario: Scenario, peer: Peer, target: Peer | str, translator: Translator, model: ModelServer
) -> None:
    graph = await made_of(target, calling)
    await scenario(Outward(adapt(graph.compile(name="g")), peer, translator, model, "{}", "{}"))


async def test_a_tool_outside_of_a_graph(peer: Peer) -> None:
    remote = tool(peer)
    assert await remote.ainvoke({"request": "you"}) == "bonjour you"
    assert "not today" in await remote.ainvoke({"request": "refuse"})
    assert "Formal or familiar?" in await remote.ainvoke({"request": "which"})
