"""Cancel, memory, restarts, and the process around a runnable."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_openai import ChatOpenAI

from codin.agent.adapters.langchain import adapt
from codin.task import Limits, MemoryStore, current_task
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.server.clock import pass_time

pytestmark = pytest.mark.anyio


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(ChatPromptTemplate.from_template("{request}") | chat))
    async with asyncio.timeout(30):
        task = await desk.begin("hang on")
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert canceled.status.state.name == "CANCELED"
    assert model.dropped == 1


async def test_the_deadline_drops_the_call_of_a_function_in_a_thread(model: ModelServer, chat: ChatOpenAI) -> None:
    def work(text: str) -> str:
        loop = asyncio.new_event_loop()
        try:
            return str(loop.run_until_complete(chat.model_copy(update={"http_async_client": None}).ainvoke(text)).text)
        finally:
            loop.close()

    async def waits(text: str) -> str:
        return str((await chat.ainvoke(text)).text)

    desk = Desk(adapt(RunnableLambda(work, waits)), limits=Limits(run_timeout=40.0))
    sent = asyncio.create_task(desk.send("hang on"))
    async with asyncio.timeout(120):
        await model.stuck.wait()
        pass_time(40.0)
        turn = await sent
        await model.drop.wait()
    assert (turn.state, model.dropped) == ("FAILED", 1)


class Deaf(BaseChatModel):
    """Forgets a cancel, as a timer of Python 3.11 does, and goes on."""

    begun: asyncio.Event
    ended: asyncio.Event

    @property
    def _llm_type(self) -> str:
        return "deaf"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        try:
            self.begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            yield ChatGenerationChunk(message=AIMessageChunk(content="too late"))
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@pytest.mark.parametrize("nested", [False, True])
async def test_a_model_that_forgets_the_cancel_ends_at_its_next_piece(nested: bool) -> None:
    deaf = Deaf(begun=asyncio.Event(), ended=asyncio.Event())

    async def whole(text: str) -> str:
        return "".join([str(piece.text) async for piece in deaf.astream(text)])

    prompt = ChatPromptTemplate.from_template("{request}")
    desk = Desk(adapt(RunnableLambda(whole) if nested else prompt | deaf))
    async with asyncio.timeout(30):
        task = await desk.begin("go")
        await deaf.begun.wait()
        canceled = await desk.cancel(task)
        await deaf.ended.wait()
    assert (canceled.status.state.name, canceled.artifacts) == ("CANCELED", [])


class History(BaseChatMessageHistory):
    """What was said in one session."""

    def __init__(self) -> None:
        self.messages: list[BaseMessage] = []

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.messages.extend(messages)

    def clear(self) -> None:
        self.messages.clear()


def remembering(chat: Any) -> Any:
    histories: dict[str, BaseChatMessageHistory] = {}

    def history(session: str) -> BaseChatMessageHistory:
        return histories.setdefault(session, History())

    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    with pytest.warns(DeprecationWarning, match="RunnableWithMessageHistory"):
        return RunnableWithMessageHistory(
            prompt | chat, history, input_messages_key="question", history_messages_key="history"
        )


async def test_a_context_is_a_session_and_nobody_else_s(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(remembering(chat)))
    ann, bob = Caller("ann"), Caller("bob")
    first = await desk.send("one", context="c", caller=ann)
    assert (first.text, len(first.chunks)) == ("You said one", 3)
    await desk.send("two", context="c", caller=ann)
    await desk.send("three", context="other", caller=ann)
    await desk.send("four", context="c", caller=bob)
    said = [[message["content"] for message in request["messages"]] for request in model.requests]
    assert said == [["one"], ["one", "You said one", "two"], ["three"], ["four"]]


async def test_turns_of_one_context_run_one_after_the_other(model: ModelServer, chat: ChatOpenAI) -> None:
    desk = Desk(adapt(remembering(chat)))
    await asyncio.gather(*(desk.send(f"turn {number}", context="c") for number in range(5)))
    assert [len(request["messages"]) for request in model.requests] == [1, 3, 5, 7, 9]


async def test_a_question_waits_for_its_answer_over_a_restart() -> None:
    async def ask(text: str) -> str:
        task = current_task()
        assert task is not None
        return f"{text}: {(await task.ask('How many?')).text}"

    store = MemoryStore()
    before = Desk(adapt(RunnableLambda(ask)), store)
    asked = await before.send("lines")
    await before.close()
    done = await Desk(adapt(RunnableLambda(ask)), store).send("three", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "lines: three")


async def test_a_canceled_thread_ends_at_its_next_call(model: ModelServer, chat: ChatOpenAI) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(text: str) -> str:
        begun.set()
        go_on.wait(20)
        try:
            return str(chat.invoke(text).text)
        finally:
            loop.call_soon_threadsafe(ended.set)

    desk = Desk(adapt(RunnableLambda(work)), limits=Limits(cancel_grace=0.1))
    async with asyncio.timeout(30):
        task = await desk.begin("hello")
        await asyncio.to_thread(begun.wait, 20)
        assert (await desk.cancel(task)).status.state.name == "CANCELED"
        go_on.set()
        await ended.wait()
    assert model.requests == []


def test_nothing_is_traced_and_no_tracing_is_switched_off_behind_the_user_s_back() -> None:
    code = "import os; before = dict(os.environ); import codin.agent.adapters.langchain; assert os.environ == before"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
