"""A graph that calls agents keeps to the limits of its task, as a plain function does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState
from langgraph.prebuilt import ToolNode

from codin import a2a
from codin.agent.adapters.langgraph import adapt, node, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import USAGE_KEY, AgentResponse, Limits, NeedInput, Task
from codin.testing import MemoryTransport
from codin.trust import Budget, CallLimits
from tests.agent.adapters.langgraph.graphs import build
from tests.server.actors import Act, Actor

pytestmark = pytest.mark.anyio


class Town:
    """Agents that reach each other by name, in memory."""

    def __init__(self) -> None:
        self.transport = MemoryTransport({})
        self.apps: list[App] = []

    async def move_in(self, agent: Any) -> Peer:
        """Serve an agent and connect to it."""
        app = App(agent, transport=self.transport, limits=Limits(drain=0.1))
        self.apps.append(app)
        self.transport.apps[f"{agent.id}.test"] = app
        return await connect(f"http://{agent.id}.test/", transport=self.transport).__aenter__()

    async def close(self) -> None:
        for app in self.apps:
            await app.close()
        await self.transport.aclose()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    yield town
    await town.close()


def asking(peer: Peer) -> Any:
    """A graph whose one node is the peer."""
    graph = build(MessagesState)
    graph.add_node("ask", node(peer))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph.compile(name="g")


def using(peer: Peer, calls: int = 1) -> Any:
    """A graph in which a model (here: nobody) has called the peer as its tool."""
    used = tool(peer)

    def say(state: Any) -> Any:
        said = [{"name": used.name, "args": {"request": "go"}, "id": str(number)} for number in range(calls)]
        return {"messages": [AIMessage("", tool_calls=said)]}

    graph = build(MessagesState)
    graph.add_node("say", say)
    graph.add_node("tools", ToolNode([used]))
    graph.add_node("tell", _tell)
    graph.add_edge(START, "say")
    graph.add_edge("say", "tools")
    graph.add_edge("tools", "tell")
    graph.add_edge("tell", END)
    return graph.compile(name="g")


def _tell(state: Any) -> Any:
    return {"messages": [AIMessage("|".join(said.text for said in state["messages"] if said.type == "tool"))]}


Graph = Callable[[Peer], Any]
GRAPHS = pytest.mark.parametrize("graph", [asking, using], ids=["node", "tool"])


def bill(task: a2a.Task | None) -> Any:
    assert task is not None
    return (task.metadata or {}).get(USAGE_KEY)


@GRAPHS
async def test_a_circle_through_a_graph_is_refused(town: Town, graph: Graph) -> None:
    reasons: list[str] = []

    async def back(task: Task) -> str:
        try:
            await task.call("http://g.test/", "go")
        except a2a.UnsupportedOperation as error:
            reasons.append(error.reason)
        return f"path of {len(task.limits.path)}"

    peer = await town.move_in(Actor("back", back))
    g = await town.move_in(adapt(graph(peer)))
    async with asyncio.timeout(20):
        assert (await g.send("go")).text == "path of 1"
    assert reasons == ["CALL_CYCLE"]


@GRAPHS
async def test_a_graph_that_would_close_the_circle_is_told_in_words(town: Town, graph: Graph) -> None:
    async def first(task: Task) -> str:
        reply = await task.call("http://g.test/", "go")
        return f"{reply.state} {reply.text}"

    peer = await town.move_in(Actor("first", first))
    await town.move_in(adapt(graph(peer)))
    async with asyncio.timeout(20):
        said = (await peer.send("go")).text
    if graph is using:  # a model can act on it
        assert "go round in a circle: first -> g -> first" in said
        assert "ask another agent" in said
    else:
        assert "FAILED" in said


@GRAPHS
async def test_a_tree_with_a_graph_in_it_adds_up_once(town: Town, graph: Graph) -> None:
    async def leaf(task: Task) -> AgentResponse:
        task.usage(input_tokens=100)
        if task.resume is None:
            raise NeedInput("which?", token=1)  # the graph stops, and is run again with the answer
        return AgentResponse.completed(task.text)

    async def root(task: Task) -> str:
        task.usage(input_tokens=1)
        reply = await task.call("http://g.test/", "go")
        assert reply.state is a2a.TaskState.INPUT_REQUIRED, reply.text
        assert task.usage["input_tokens"] == 101
        reply = await task.call("http://g.test/", "this", task_id=reply.task_id, context_id=reply.context_id)
        return reply.text

    peer = await town.move_in(Actor("leaf", leaf))
    await town.move_in(adapt(graph(peer)))
    top = await town.move_in(Actor("root", root))
    async with asyncio.timeout(20):
        reply = await top.send("go", limits=CallLimits(budget=Budget(tokens=1000)))
    assert reply.text == "this"
    assert bill(reply.task) == {"input_tokens": 201}


async def test_tools_that_are_called_at_once_spend_the_budget_once(town: Town) -> None:
    given: list[int | None] = []

    async def leaf(task: Task) -> AgentResponse:
        given.append(task.limits.budget.tokens)
        return AgentResponse.completed("did it", usage={"total_tokens": 40})

    peer = await town.move_in(Actor("leaf", leaf))
    g = await town.move_in(adapt(using(peer, calls=4)))
    async with asyncio.timeout(20):
        reply = await g.send("go", limits=CallLimits(budget=Budget(tokens=80)))
    assert given == [80, 40]
    said = reply.text.split("|")
    assert sum(each == "did it" for each in said) == 2
    assert sum("the budget for this call is spent" in each for each in said) == 2
    assert bill(reply.task) == {"total_tokens": 80}


@GRAPHS
async def test_cancel_reaches_through_a_graph(town: Town, graph: Graph) -> None:
    hanging, stopped = asyncio.Event(), asyncio.Event()

    async def leaf(task: Task) -> str:
        task.usage(total_tokens=5)
        hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    def passing(name: str) -> Act:
        async def act(task: Task) -> str:
            return (await task.call(name, "go")).text

        return act

    peer = await town.move_in(Actor("leaf", leaf))
    await town.move_in(adapt(graph(peer)))
    await town.move_in(Actor("middle", passing("http://g.test/")))
    root = await town.move_in(Actor("root", passing("http://middle.test/")))
    async with asyncio.timeout(30):
        task = (await root.send("go", wait=False)).task
        assert task is not None
        await hanging.wait()
        ended = await root.cancel(task.id)
        await stopped.wait()
    assert ended.status.state is a2a.TaskState.CANCELED
    assert bill(ended) == {"total_tokens": 5}
    assert [each.status.state async for each in peer.list()] == [a2a.TaskState.CANCELED]


@GRAPHS
async def test_a_graph_passes_on_the_time_it_has(town: Town, graph: Graph) -> None:
    deadlines: list[int | None] = []

    async def leaf(task: Task) -> str:
        deadlines.append(task.limits.deadline)
        return "ok"

    given = CallLimits(("x@12345678",), 253402300799999)
    peer = await town.move_in(Actor("leaf", leaf))
    g = await town.move_in(adapt(graph(peer)))
    async with asyncio.timeout(20):
        await g.send("go", limits=given)
    (deadline,) = deadlines
    assert deadline is not None
    assert deadline < 253402300799999  # the graph's own time is shorter
