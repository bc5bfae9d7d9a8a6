"""Threads: cancel, crash, restart, and questions that other tasks have left open."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from pydantic import Field
from typing_extensions import TypedDict

from codin.agent.adapters.langgraph import adapt
from codin.task import Limits, MemoryStore, open_store
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import build
from tests.server.clock import pass_time

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


class Form(TypedDict, total=False):
    topic: str
    done: Any


def form(checkpointer: Any = None) -> Any:
    def ask(state: Form) -> dict[str, Any]:
        return {"done": f"{state.get('topic')} in {interrupt('What colour?')}"}

    return build(Form).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer, name="form")


def chatter(model: Any, checkpointer: Any) -> Any:
    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return build(MessagesState).add_node("agent", agent).add_edge(START, "agent").compile(checkpointer, name="c")


def roles(model: ModelServer) -> list[str]:
    return [f"{message['role']}:{message['content']}" for message in model.requests[-1]["messages"]]


# -- cancel ----------------------------------------------------------------------------------------------------------


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(chatter(chat, InMemorySaver())))
    async with asyncio.timeout(30):
        task = await desk.begin("hang on")
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert canceled.status.state.name == "CANCELED"
    assert model.dropped == 1


async def test_the_deadline_drops_the_call_to_the_model(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(chatter(chat, InMemorySaver())), limits=Limits(run_timeout=40.0))
    sent = asyncio.create_task(desk.send("hang on"))
    async with asyncio.timeout(120):
        await model.stuck.wait()
        pass_time(40.0)
        turn = await sent
        await model.drop.wait()
    assert turn.state == "FAILED"


async def test_after_a_cancel_the_next_turn_does_not_see_the_message_nobody_answered(
    model: ModelServer, chat: ChatOpenAI
) -> None:
    desk = Desk(adapt(chatter(chat, InMemorySaver())))
    await desk.send("one", context="k")
    async with asyncio.timeout(30):
        task = await desk.begin("hang on", context="k")
        await model.stuck.wait()
        await desk.cancel(task)
    turn = await desk.send("two", context="k")
    assert turn.text == "You said two"
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]
    await desk.send("three", context="k")
    assert roles(model)[2:] == ["user:two", "assistant:You said two", "user:three"]


async def test_after_a_cancel_of_the_first_turn_the_thread_begins_anew(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(chatter(chat, InMemorySaver())))
    async with asyncio.timeout(30):
        task = await desk.begin("hang on", context="k")
        await model.stuck.wait()
        await desk.cancel(task)
    await desk.send("one", context="k")
    assert roles(model) == ["user:one"]


async def test_a_tool_call_without_a_result_is_not_left_in_the_conversation(model: ModelServer, chat: Any) -> None:
    started = asyncio.Event()

    @tool
    async def wait(word: str) -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return word

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.bind_tools([wait]).ainvoke(state["messages"])]}

    builder = build(MessagesState).add_node("agent", agent).add_node("tools", ToolNode([wait]))
    builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    desk = Desk(adapt(builder.compile(InMemorySaver())))
    await desk.send("one", context="k")
    async with asyncio.timeout(30):
        task = await desk.begin('call wait {"word": "x"}', context="k")
        await started.wait()
        await desk.cancel(task)
    await desk.send("two", context="k")
    assert [message["role"] for message in model.requests[-1]["messages"]] == ["user", "assistant", "user"]


async def test_a_failed_turn_leaves_no_trace_in_the_conversation(model: ModelServer, chat: ChatOpenAI) -> None:
    async def agent(state: MessagesState) -> dict[str, Any]:
        if state["messages"][-1].text == "break":
            raise ValueError("broken")
        return {"messages": [await chat.ainvoke(state["messages"])]}

    graph = build(MessagesState).add_node("agent", agent).add_edge(START, "agent").compile(InMemorySaver())
    desk = Desk(adapt(graph))
    await desk.send("one", context="k")
    for _ in range(2):
        assert (await desk.send("break", context="k")).state == "FAILED"
    await desk.send("two", context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]


async def test_a_cancel_undoes_what_earlier_steps_of_the_task_wrote_to_a_typed_state() -> None:
    reached, gate = asyncio.Event(), asyncio.Event()

    def first(state: Form) -> dict[str, Any]:
        return {"done": f"{state.get('done', '')}{state.get('topic')}"}

    async def second(state: Form) -> dict[str, Any]:
        reached.set()
        await gate.wait()
        return {}

    builder = build(Form).add_node("first", first).add_node("second", second)
    graph = builder.add_edge(START, "first").add_edge("first", "second").compile(InMemorySaver())
    desk = Desk(adapt(graph, text_field="topic"))
    async with asyncio.timeout(30):
        task = await desk.begin("a", context="k")
        await reached.wait()
        await desk.cancel(task)
    gate.set()
    assert (await desk.send("b", context="k")).data["done"] == "b"


async def test_a_sync_node_runs_on_in_its_thread_and_what_it_returns_is_lost() -> None:
    reached, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def node(state: MessagesState) -> dict[str, Any]:
        if state["messages"][-1].text == "block":
            reached.set()
            gate.wait(30)
            ended.set()
        return {"messages": [AIMessage(f"{len(state['messages'])} messages")]}

    graph = build(MessagesState).add_node("node", node).add_edge(START, "node").compile(InMemorySaver())
    desk = Desk(adapt(graph))
    task = await desk.begin("block", context="k")
    assert await asyncio.to_thread(reached.wait, 30)
    canceled = await desk.cancel(task)
    assert (canceled.status.state.name, ended.is_set()) == ("CANCELED", False)
    gate.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert (await desk.send("next", context="k")).text == "1 messages"


class Slow(BaseChatModel):
    """A model that says a word, and the rest when the gate opens."""

    pieces: list[str] = Field(default_factory=list[str])
    reached: threading.Event = Field(default_factory=threading.Event)
    gate: threading.Event = Field(default_factory=threading.Event)

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for word in ("one", "two", "three"):
            self.pieces.append(word)
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            self.reached.set()
            self.gate.wait(30)


async def test_a_model_in_a_sync_node_stops_at_its_next_piece_after_a_cancel() -> None:
    model, ended = Slow(), threading.Event()

    def node(state: MessagesState) -> dict[str, Any]:
        try:
            return {"messages": [model.invoke(state["messages"])]}
        finally:
            ended.set()

    desk = Desk(adapt(build(MessagesState).add_node("node", node).add_edge(START, "node").compile()))
    task = await desk.begin("go")
    assert await asyncio.to_thread(model.reached.wait, 30)
    await desk.cancel(task)
    model.gate.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert model.pieces == ["one", "two"]


# -- questions on a thread -------------------------------------------------------------------------------------------


async def test_a_new_task_is_rejected_while_another_task_s_question_is_open_on_its_thread() -> None:
    desk = Desk(adapt(form(InMemorySaver())))
    asked = await desk.send("cup", context="k")
    refused = await desk.send("plate", context="k")
    assert refused.state == "REJECTED"
    assert asked.task.id in refused.said
    assert "open question" in refused.said
    done = await desk.send("red", task=asked.task)
    assert done.data["done"] == "cup in red"  # the question was not forgotten
    assert (await desk.send("plate", context="k")).state == "INPUT_REQUIRED"


async def test_after_a_canceled_question_the_thread_goes_on_from_where_that_task_began() -> None:
    desk = Desk(adapt(form(InMemorySaver())))
    first = await desk.send("cup", context="k")
    await desk.send("red", task=first.task)
    second = await desk.send("plate", context="k")
    await desk.cancel(second.task)
    third = await desk.send({"done": None}, context="k")
    assert (await desk.send("blue", task=third.task)).data["done"] == "cup in blue"


async def test_a_new_task_runs_once_the_task_that_asked_is_canceled() -> None:
    desk = Desk(adapt(form(InMemorySaver())))
    asked = await desk.send("cup", context="k")
    await desk.cancel(asked.task)
    again = await desk.send("plate", context="k")
    assert again.state == "INPUT_REQUIRED"
    assert (await desk.send("red", task=again.task)).data["done"] == "plate in red"


async def test_a_question_does_not_stand_in_the_way_of_another_context_or_of_a_graph_without_memory() -> None:
    desk = Desk(adapt(form(InMemorySaver())))
    await desk.send("cup", context="k")
    assert (await desk.send("plate", context="other")).state == "INPUT_REQUIRED"
    forgetful = Desk(adapt(form()))
    first = await forgetful.send("cup", context="k")
    second = await forgetful.send("plate", context="k")
    assert (await forgetful.send("red", task=first.task)).data["done"] == "cup in red"
    assert (await forgetful.send("blue", task=second.task)).data["done"] == "plate in blue"


# -- restart ---------------------------------------------------------------------------------------------------------


async def test_an_answer_after_a_restart_finds_its_question_with_a_durable_checkpointer(tmp_path: Path) -> None:
    store = MemoryStore()
    path = str(tmp_path / "threads.db")
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        desk = Desk(adapt(form(saver)), store)
        asked = await desk.send("cup", context="k")
        await desk.close()
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        desk = Desk(adapt(form(saver)), store)
        refused = await desk.send("plate", context="k")
        done = await desk.send("red", task=asked.task)
    assert refused.state == "REJECTED"
    assert (done.state, done.data["done"]) == ("COMPLETED", "cup in red")


async def test_an_answer_after_a_restart_that_forgot_the_question_fails_with_a_reason() -> None:
    store = MemoryStore()
    desk = Desk(adapt(form()), store)
    asked = await desk.send("cup")
    await desk.close()
    late = await Desk(adapt(form()), store).send("red", task=asked.task)
    assert late.state == "FAILED"
    assert "memory" in late.said


async def test_a_process_that_dies_in_a_turn_leaves_a_thread_that_works(
    model: ModelServer, chat: ChatOpenAI, tmp_path: Path
) -> None:
    path = str(tmp_path / "threads.db")
    command = [sys.executable, "-m", "tests.agent.adapters.langgraph.doomed", path, model.url]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        async with asyncio.timeout(150):  # an interpreter begins in it, and imports a lot
            await model.stuck.wait()
    finally:
        process.kill()
        await process.wait()
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await Desk(adapt(chatter(chat, saver))).send("two", context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]


async def test_an_answer_after_a_restart_finds_its_question_with_durable_stores_on_both_sides(tmp_path: Path) -> None:
    threads, tasks = str(tmp_path / "threads.db"), f"sqlite:///{tmp_path}/tasks.db"
    async with AsyncSqliteSaver.from_conn_string(threads) as saver:
        store = open_store(tasks)
        desk = Desk(adapt(form(saver)), store)
        asked = await desk.send("cup", context="k")
        await desk.close()
        await store.close()
    async with AsyncSqliteSaver.from_conn_string(threads) as saver:
        store = open_store(tasks)
        desk = Desk(adapt(form(saver)), store)
        done = await desk.send("red", task=asked.task)
        again = await desk.send("plate", context="k")
        await desk.close()
        await store.close()
    assert (done.state, done.data["done"]) == ("COMPLETED", "cup in red")
    assert again.state == "INPUT_REQUIRED"


async def test_it_says_whether_its_questions_outlive_the_process(tmp_path: Path) -> None:
    assert not adapt(form()).durable
    assert not adapt(form(InMemorySaver())).durable
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
        assert adapt(form(saver)).durable
        assert adapt(form(), checkpointer=saver).durable
