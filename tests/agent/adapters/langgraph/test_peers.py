"""A remote agent as a node and as a tool of a graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from codin import a2a
from codin.agent.adapters.langgraph import adapt, node, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import AgentResponse, Limits, Task
from codin.task.stores.sqlite import SQLiteStore
from tests.agent.adapters.desk import Desk, Turn
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


class Translator:
    """The remote agent."""

    id = name = "translator"
    description = "Says it in French."
    tools = ()

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append(task.text)
        if task.text == "hang":
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if task.text == "refuse":
            return AgentResponse.rejected("not today")
        if task.text == "which":
            tone = await task.ask("Formal or familiar?", data=["formal", "familiar"])
            return AgentResponse.completed(f"{tone.text}: bonjour")
        if task.text == "secret":
            key = await task.authorize("Which key?")
            return AgentResponse.completed(f"{len(key.text)} letters")
        if task.text == "data":
            return AgentResponse.completed(data={"fr": "bonjour"})
        for word in ("bon", "jour ", task.text):
            await task.write(word)
        return AgentResponse.completed()


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def peer(translator: Translator) -> AsyncIterator[Peer]:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


def chat(peer: Peer) -> Any:
    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", node(peer))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph


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


@pytest.mark.parametrize("kind", ["node", "tool"])
async def test_the_question_of_the_peer_goes_up_and_the_answer_down(
    kind: str, peer: Peer, translator: Translator
) -> None:
    desk = Desk(adapt((chat if kind == "node" else calling)(peer).compile(name="g")))
    asked = await desk.send("which")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    done = await desk.send("formal", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "formal: bonjour")
    assert translator.heard == ["which"]  # it was not asked twice
    assert [task.status.state.name async for task in peer.list()] == ["COMPLETED"]


async def test_a_credential_is_asked_for_as_one(peer: Peer) -> None:
    desk = Desk(adapt(chat(peer).compile(name="g")))
    asked = await desk.send("secret")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
    done = await desk.send("abc", task=asked.task)
    assert done.text == "3 letters"


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


async def test_cancel_goes_down(peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(chat(peer).compile(name="g")))
    task = await desk.begin("hang")
    async with asyncio.timeout(20):
        await translator.stuck.wait()
        assert (await desk.cancel(task)).status.state is a2a.TaskState.CANCELED
        await translator.stopped.wait()
    assert [task.status.state.name async for task in peer.list()] == ["CANCELED"]


# -- as a tool ---------------------------------------------------------------------------------------------------------


def calling(peer: Peer) -> Any:
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


async def test_a_tool_answers_a_graph(peer: Peer) -> None:
    turn = await Desk(adapt(calling(peer).compile(name="g"))).send("you")
    assert (turn.state, turn.text) == ("COMPLETED", "bonjour you")
    assert "".join(turn.chunks) == turn.text


async def test_a_tool_outside_of_a_graph(peer: Peer) -> None:
    remote = tool(peer)
    assert await remote.ainvoke({"request": "you"}) == "bonjour you"
    assert "not today" in await remote.ainvoke({"request": "refuse"})
    assert "Formal or familiar?" in await remote.ainvoke({"request": "which"})
