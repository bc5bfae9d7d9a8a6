"""LangGraph's checkpoints in codin's memory: what its own checkpointer keeps, for each caller apart."""

from __future__ import annotations

import asyncio
import operator
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.graph import START, MessagesState
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

import codin
from codin.agent.adapters.langgraph import CodinSaver, CodinStore, adapt
from codin.errors import ConfigError, NotKept
from codin.memory import Memories, MemoryLimits, Scope
from codin.server import App
from codin.testing import serving
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import build
from tests.memory.conftest import Place, missing
from tests.server.process import running

pytestmark = pytest.mark.anyio

T = TypeVar("T")
ADA = Scope("", "clerk", "ada")


@pytest.fixture
async def memories(place: Place) -> AsyncIterator[Memories]:
    async with Memories(place()) as memories:
        yield memories


@pytest.fixture
async def saver(memories: Memories) -> CodinSaver:
    return CodinSaver(memories, outside=ADA)


def at(thread: str = "t", namespace: str = "", id: str = "") -> Any:
    named = {"checkpoint_id": id} if id else {}
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, **named}}


async def test_langgraph_s_own_suite_for_checkpointers(place: Place) -> None:
    if find_spec("langgraph.checkpoint.conformance") is None:
        missing("LangGraph's suite", "pip install langgraph-checkpoint-conformance")
    conformance: Any = import_module("langgraph.checkpoint.conformance")

    @conformance.checkpointer_test(name="codin")
    async def ours() -> AsyncGenerator[BaseCheckpointSaver[Any]]:
        async with Memories(place()) as memories:
            yield CodinSaver(memories, outside=ADA)

    report = await conformance.validate(ours)
    assert {name: result.failures for name, result in report.results.items() if not result.passed} == {}
    assert len(report.results) == 8


def joined(before: list[str], more: Sequence[Any]) -> list[str]:
    return [*before, *(text for each in more for text in each)]


class State(TypedDict, total=False):
    text: str
    said: Annotated[list[str], operator.add]


class Changes(TypedDict, total=False):
    changes: Annotated[list[str], DeltaChannel(joined)]


# -- graphs ------------------------------------------------------------------------------------------------------------


async def ask(state: MessagesState) -> dict[str, Any]:
    said = [str(message.content) for message in state["messages"] if message.type == "human"]
    return {"messages": [("ai", f"{', '.join(said)}: {interrupt('Which colour?')}")]}


def asking(memories: Memories | None, name: str = "clerk") -> Any:
    builder = build(MessagesState).add_node("ask", ask).add_edge(START, "ask")
    saver = CodinSaver() if memories is None else CodinSaver(memories, outside=ADA)
    return builder.compile(name=name, checkpointer=saver)


async def test_a_question_is_answered_by_another_process(place: Place) -> None:
    async with Memories(place()) as first, Desk(adapt(asking(first))) as desk:
        asked = await desk.send("cup", context="k")
        store = desk.manager.store
        assert asked.said == "Which colour?"
    async with Memories(place()) as second, Desk(adapt(asking(second)), store) as desk:
        done = await desk.send("red", task=asked.task)
        assert (done.state, done.text) == ("COMPLETED", "cup: red")
        more = await desk.send("plate", context="k")
        assert (await desk.send("blue", task=more.task)).text == "cup, plate: blue"


async def test_no_caller_and_no_agent_comes_to_the_thread_of_another(memories: Memories) -> None:
    async def show(state: MessagesState) -> dict[str, Any]:
        listed = {found.config.get("configurable", {})["thread_id"] async for found in saver.alist(None)}
        other = await saver.aget_tuple(at("shared"))
        return {"messages": [("ai", f"{len(state['messages'])} {'shared' in listed} {other is not None}")]}

    saver = CodinSaver(memories, outside=ADA)
    builder = build(MessagesState).add_node("show", show).add_edge(START, "show")
    graph = builder.compile(name="clerk", checkpointer=saver)
    await saver.aput(at("shared"), empty_checkpoint(), {}, {})
    async with Desk(adapt(graph)) as desk:
        assert (await desk.send("hello", context="k", caller=Caller("ada"))).text == "1 True True"
        assert (await desk.send("hello", context="k", caller=Caller("bob"))).text == "1 False False"
        assert (await desk.send("again", context="k", caller=Caller("bob"))).text == "3 False False"
    cook = adapt(builder.compile(name="cook", checkpointer=saver))
    async with Desk(cook) as desk:
        assert (await desk.send("hello", context="k", caller=Caller("ada"))).text == "1 False False"
    assert (await memories.backend.stats("", caller="bob")).blobs > 0
    await memories.backend.forget("", caller="bob")
    async with Desk(adapt(graph)) as desk:
        assert (await desk.send("hello", context="k", caller=Caller("bob"))).text.startswith("1 ")


async def test_threads_side_by_side_keep_their_own(saver: CodinSaver) -> None:
    async def again(state: State) -> State:
        return {"said": [f"{state.get('said', [''])[0]}!"]}

    graph = build(State).add_node("again", again).add_edge(START, "again").compile(checkpointer=saver)

    async def talk(name: str) -> Any:
        for _ in range(3):
            await graph.ainvoke({"said": [name]}, at(name))
        return (await graph.aget_state(at(name))).values["said"]

    names = [f"thread {number}" for number in range(8)]
    for name, said in zip(names, await asyncio.gather(*map(talk, names)), strict=True):
        assert said == [name, f"{name}!"] * 3


async def test_a_large_state_and_many_writes(saver: CodinSaver) -> None:
    def spread(state: State) -> list[Send]:
        return [Send("part", number) for number in range(40)]

    async def part(number: Any) -> State:
        return {"said": [str(number)]}

    builder = build(State).add_node("part", part).add_conditional_edges(START, spread, ["part"])
    graph = builder.compile(checkpointer=saver)
    text = "ä" * 1_000_000
    assert len((await graph.ainvoke({"text": text}, at()))["said"]) == 40
    values = (await graph.aget_state(at())).values
    assert (values["text"], sorted(map(int, values["said"]))) == (text, list(range(40)))


async def test_a_thread_may_be_looked_at_and_gone_on_with_from_an_earlier_point(saver: CodinSaver) -> None:
    def one(state: State) -> State:
        return {"said": ["one"]}

    graph = build(State).add_node("one", one).add_edge(START, "one").compile(checkpointer=saver)
    for said in ("a", "b"):
        await graph.ainvoke({"said": [said]}, at())
    history = [state async for state in graph.aget_state_history(at())]
    assert history[0].values["said"] == ["a", "one", "b", "one"]
    earlier = next(state for state in history if state.values.get("said") == ["a", "one"])
    result = await graph.ainvoke({"said": ["c"]}, earlier.config)
    assert result["said"] == ["a", "one", "c", "one"]
    assert (await graph.aget_state(at())).values["said"] == ["a", "one", "c", "one"]


async def test_a_subgraph_that_asks_has_its_own_namespace(saver: CodinSaver) -> None:
    inner = build(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile()
    graph = build(MessagesState).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)
    asked = await graph.ainvoke({"messages": [("user", "cup")]}, at())
    assert asked["__interrupt__"][0].value == "Which colour?"
    namespaces = {
        found.config.get("configurable", {})["checkpoint_ns"]
        async for found in saver.alist({"configurable": {"thread_id": "t"}})
    }
    assert len(namespaces) == 2
    done = await graph.ainvoke(Command(resume="red"), at())
    assert done["messages"][-1].content == "cup: red"


async def test_pruning_leaves_a_state_whole_that_is_kept_as_changes(saver: CodinSaver) -> None:
    async def one(state: Changes) -> Changes:
        return {"changes": ["one"]}

    graph = build(Changes).add_node("one", one).add_edge(START, "one").compile(checkpointer=saver)
    for said in ("a", "b", "c"):
        await graph.ainvoke({"changes": [said]}, at())
    whole = ["a", "one", "b", "one", "c", "one"]
    await saver.aprune(["t"])
    assert (await graph.aget_state(at())).values["changes"] == whole
    assert (await graph.ainvoke({"changes": ["d"]}, at()))["changes"] == [*whole, "d", "one"]


async def test_a_killed_server_asks_and_is_answered_when_it_is_there_again(tmp_path: Path) -> None:
    module = "tests.agent.adapters.langgraph.lasting"
    async with asyncio.timeout(120):
        async with running(module, place=str(tmp_path)) as process, codin.connect(process.url) as peer:
            first = await peer.send("a cup")
            await peer.send("green", task_id=first.task_id)
            asked = await peer.send("a plate", context_id=first.context_id)
            process.send(signal.SIGKILL)
            await process.ended()
        async with running(module, place=str(tmp_path)) as process, codin.connect(process.url) as peer:
            done = await peer.send("red", task_id=asked.task_id)
            assert done.text == "a cup and a plate, the last in red"
            process.stop()
            await process.ended()


async def test_it_says_whether_a_question_outlives_the_process(tmp_path: Path) -> None:
    assert adapt(asking(Memories(f"sqlite:///{tmp_path}/memory.db"))).durable
    assert not adapt(asking(Memories("memory://"))).durable


@pytest.mark.parametrize("kept", [{"checkpointer": CodinSaver()}, {"store": CodinStore()}])
async def test_a_server_without_the_memory_that_a_graph_needs_does_not_start(kept: dict[str, Any]) -> None:
    def one(state: Changes) -> Changes:
        return state

    graph = build(Changes).add_node("one", one).add_edge(START, "one").compile(name="one", **kept)
    with pytest.raises(ConfigError) as caught:
        await App(graph).start()
    assert caught.value.message == "'one' keeps its own state in the server's memory, and this server has none"
    assert "--memory sqlite:///memory.db" in str(caught.value.hint)
    assert "memory=" in str(caught.value.hint)
    app = App(graph, memory="memory://")
    await app.start()
    await app.close()


async def test_a_server_shares_its_memory_with_its_graph() -> None:
    memories = Memories("memory://")
    async with serving(App(asking(memories), memory=memories)) as url, codin.connect(url) as peer:
        asked = await peer.send("cup")
        assert (await peer.send("red", task_id=asked.task_id)).text == "cup: red"


# -- threads that block ------------------------------------------------------------------------------------------------


async def test_a_graph_may_run_in_a_thread(saver: CodinSaver) -> None:
    def question(state: State) -> State:
        return {"text": interrupt("Which?")}

    graph = build(State).add_node("question", question).add_edge(START, "question").compile(checkpointer=saver)
    assert "__interrupt__" in await asyncio.to_thread(graph.invoke, {}, at())
    assert (await asyncio.to_thread(graph.invoke, Command(resume="this"), at()))["text"] == "this"
    assert len(await asyncio.to_thread(lambda: list(saver.list(at(), limit=2)))) == 2
    await asyncio.to_thread(saver.copy_thread, "t", "u")
    await asyncio.to_thread(saver.prune, ["t"])
    await asyncio.to_thread(saver.delete_for_runs, ["unknown"])
    assert len(await asyncio.to_thread(lambda: list(saver.list(at())))) == 1
    await asyncio.to_thread(saver.delete_thread, "t")
    assert await asyncio.to_thread(saver.get_tuple, at()) is None
    assert await saver.aget_tuple(at("u")) is not None
    with pytest.raises(ConfigError, match="block"):
        saver.get_tuple(at())


async def test_without_memories_it_is_that_of_the_server() -> None:
    graph = asking(None)
    async with serving(App(graph, memory="memory://")) as url, codin.connect(url) as peer:
        asked = await peer.send("cup")
        assert (await peer.send("red", task_id=asked.task_id)).text == "cup: red"
    with pytest.raises(ConfigError, match="outside of tasks there is no server"):
        await graph.aget_state({"configurable": {"thread_id": "t"}})
    with pytest.raises(ConfigError, match="outside of tasks there is no server"):
        CodinSaver(outside=Scope())


async def test_outside_of_tasks_it_is_refused_unless_it_is_said_whose_it_is(memories: Memories) -> None:
    with pytest.raises(ConfigError, match="outside"):
        await CodinSaver(memories).aget_tuple(at())


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_what_is_too_large_is_said_and_not_kept_by_half(place: Place) -> None:
    async with Memories(place(), limits=MemoryLimits(blobs=2000)) as memories:
        saver = CodinSaver(memories, outside=ADA)
        with pytest.raises(NotKept, match="bytes"):
            await saver.aput(at(), {**empty_checkpoint(), "channel_values": {"text": "x" * 2000}}, {}, {})
        assert (await memories.backend.stats("")).blobs == 0


async def test_retention_takes_a_thread_as_a_whole(memories: Memories, saver: CodinSaver) -> None:
    await saver.aput(at("old"), empty_checkpoint(), {}, {})
    assert await memories.backend.trim(before=2**52, now=0) == 2
    assert await saver.aget_tuple(at("old")) is None
    await saver.aput(at("new"), empty_checkpoint(), {}, {})
    assert await memories.backend.trim(before=1000, now=0) == 0
    assert await saver.aget_tuple(at("new")) is not None


async def test_writes_without_their_checkpoint_are_no_checkpoint(saver: CodinSaver) -> None:
    kept = await saver.aput(at(), empty_checkpoint(), {"source": "loop"}, {})
    await saver.aput_writes(at(id="ff"), [("channel", "value")], "task")
    found = await saver.aget_tuple(at())
    assert found is not None
    assert found.config == kept
    assert [each.config async for each in saver.alist(at())] == [kept]
    await saver.aprune(["t"])
    assert await saver.aget_tuple(at(id="ff")) is None
    checkpoint = {**empty_checkpoint(), "id": "ff"}
    await saver.aput(at(), checkpoint, {}, {})  # type: ignore[arg-type]
    found = await saver.aget_tuple(at())
    assert found is not None
    assert found.pending_writes == [("task", "channel", "value")]


async def test_what_a_task_wrote_first_stays_and_what_it_asks_is_replaced(saver: CodinSaver) -> None:
    config = await saver.aput(at(), empty_checkpoint(), {}, {})
    await saver.aput_writes(config, [("a", 1), (INTERRUPT, "first")], "task")
    await saver.aput_writes(config, [("a", 2), ("b", 3), (INTERRUPT, "second")], "task")
    found = await saver.aget_tuple(at())
    assert found is not None
    assert found.pending_writes == [("task", INTERRUPT, "second"), ("task", "a", 1), ("task", "b", 3)]


async def test_a_strategy_that_is_none_is_refused(saver: CodinSaver) -> None:
    with pytest.raises(ValueError, match="no strategy"):
        await saver.aprune(["t"], strategy="keep_some")


class Backwards:
    """No cipher."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "backwards", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return ciphertext[::-1]


async def test_a_serializer_may_encrypt_what_is_kept(memories: Memories) -> None:
    saver = CodinSaver(memories, outside=ADA, serde=EncryptedSerializer(Backwards()))
    config = await saver.aput(at(), {**empty_checkpoint(), "channel_values": {"k": "unforgettable"}}, {}, {})
    await saver.aput_writes(config, [("k", "unforgettable")], "task")
    blobs = memories.of(agent="clerk", caller="ada").blobs
    kept = await blobs.get("langgraph:t", *await blobs.keys("langgraph:t"))
    assert len(kept) == 3
    assert not any(b"unforgettable" in data for data in kept.values())
    found = await saver.aget_tuple(at())
    assert found is not None
    assert (found.checkpoint["channel_values"], found.pending_writes) == (
        {"k": "unforgettable"},
        [("task", "k", "unforgettable")],
    )


CHANNELS = st.sampled_from(["a", "b", ERROR, INTERRUPT, RESUME])
WRITES = st.lists(st.tuples(CHANNELS, st.integers(0, 9)), min_size=1, max_size=4)
TASKS = st.sampled_from(["task 1", "task/2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["", "sub:1|x/y"]), st.integers(0, 2)),
        st.tuples(st.just("write"), st.sampled_from(["", "sub:1|x/y"]), st.tuples(WRITES, TASKS)),
    ),
    min_size=1,
    max_size=10,
)


def shown(found: CheckpointTuple | None) -> Any:
    if found is None:
        return None
    parent = None if found.parent_config is None else found.parent_config.get("configurable")
    return found.config.get("configurable"), found.checkpoint, found.metadata, parent, found.pending_writes


async def history(saver: BaseCheckpointSaver[Any], steps: list[Any]) -> Any:
    last: dict[str, Any] = {}
    for number, (what, namespace, value) in enumerate(steps):
        config = last.get(namespace, at(namespace=namespace))
        if what == "put":
            checkpoint: Any = {**empty_checkpoint(), "id": f"{number:04}", "ts": "now"}
            checkpoint |= {"channel_values": {"a": number}, "channel_versions": {"a": number}}
            last[namespace] = await saver.aput(config, checkpoint, {"step": value}, {"a": number})
        elif namespace in last:
            writes, task = value
            await saver.aput_writes(config, writes, task, f"~{task}")
    listed = [shown(found) async for found in saver.alist(at())]
    few = [shown(found) async for found in saver.alist(at(), filter={"step": 1}, limit=2)]
    before = [shown(found) async for found in saver.alist(at(), before=at(id="0003"))]
    return shown(await saver.aget_tuple(at())), shown(await saver.aget_tuple(at(id="0001"))), listed, few, before


@given(STEPS)
def test_it_keeps_what_langgraph_s_own_keeps(steps: list[Any]) -> None:
    async def compare() -> None:
        async with Memories("memory://", embedder=None) as memories:
            ours = await history(CodinSaver(memories, outside=ADA), steps)
            assert ours == await history(InMemorySaver(), steps)

    asyncio.run(compare())
