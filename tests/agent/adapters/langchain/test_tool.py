"""A remote agent as a tool of LangChain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

from codin.agent import agent
from codin.agent.adapters.langchain import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import Limits
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@agent
async def convert(config: str, amount: int, run_manager: str = "") -> str:
    """Convert money."""
    return f"{amount} {config} {run_manager}".strip()


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def peer(translator: Translator) -> AsyncIterator[Peer]:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


@pytest.fixture
async def converter() -> AsyncIterator[Peer]:
    async with listening(App(convert)) as served, connect(served.url) as peer:
        yield peer


async def test_it_is_told_by_the_card(peer: Peer, converter: Peer) -> None:
    found = tool(peer)
    assert found.name == "translator"
    assert "Says it in French." in found.description
    assert set(found.args) == {"request"}
    assert set(tool(converter).args) == {"config", "amount", "run_manager"}
    named = tool(peer, name="french", description="Translate.")
    assert (named.name, named.description) == ("french", "Translate.")


async def test_it_answers_a_call_of_a_model(peer: Peer) -> None:
    call = {"name": "translator", "args": {"request": "hello"}, "id": "call_1", "type": "tool_call"}
    answer = await tool(peer).ainvoke(call)
    assert isinstance(answer, ToolMessage)
    assert (answer.content, answer.tool_call_id) == ("bonjour", "call_1")


async def test_arguments_arrive_whatever_they_are_called(converter: Peer) -> None:
    found = tool(converter)
    assert await found.ainvoke({"config": "EUR", "amount": 3, "run_manager": "now"}) == "3 EUR now"


async def test_what_went_wrong_is_told_in_words(peer: Peer) -> None:
    assert await tool(peer).ainvoke({"request": "refuse"}) == "The agent did not finish (rejected): not today"


async def test_a_model_reads_its_schema_and_calls_it(model: ModelServer, chat: ChatOpenAI, converter: Peer) -> None:
    bound: Any = chat
    found = tool(converter)
    said = await bound.bind_tools([found]).ainvoke('call convert {"config": "EUR", "amount": 3}')
    (offered,) = model.requests[0]["tools"]
    assert set(offered["function"]["parameters"]["properties"]) == {"config", "amount", "run_manager"}
    assert (await found.ainvoke(said.tool_calls[0])).content == "3 EUR"


async def test_what_the_peer_streams_is_in_the_events(peer: Peer) -> None:
    stream: AsyncIterator[Any] = tool(peer).astream_events({"request": "hi"}, version="v2")
    events = [(event["name"], event["data"]["text"]) async for event in stream if event["event"] == "on_custom_event"]
    assert events == [("codin.status", "looking it up"), ("codin.text", "bon"), ("codin.text", "jour")]


async def test_a_question_of_the_peer_goes_up_to_the_caller_and_the_answer_back(
    peer: Peer, translator: Translator
) -> None:
    async def work(text: str) -> str:
        return await tool(peer).ainvoke({"request": text})

    desk = Desk(adapt(RunnableLambda(work)))
    asked = await desk.send("which")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    done = await desk.send("formal", task=asked.task)
    assert (done.state, done.text, translator.heard) == ("COMPLETED", "formal: bonjour", ["which"])


async def test_a_status_of_the_peer_is_one_of_the_task_and_its_text_is_not(peer: Peer) -> None:
    async def work(text: str) -> str:
        return await tool(peer).ainvoke({"request": text})

    turn = await Desk(adapt(RunnableLambda(work))).send("hi")
    assert (turn.text, [text for text, _ in turn.news]) == ("bonjour", ["looking it up"])


async def test_cancel_reaches_the_peer(peer: Peer, translator: Translator) -> None:
    async def work(text: str) -> str:
        return await tool(peer).ainvoke({"request": text})

    desk = Desk(adapt(RunnableLambda(work)))
    async with asyncio.timeout(30):
        task = await desk.begin("hang")
        await translator.stuck.wait()
        await desk.cancel(task)
        await translator.stopped.wait()


async def test_without_asyncio_it_says_what_to_do(peer: Peer) -> None:
    with pytest.raises(NotImplementedError, match="ainvoke"):
        tool(peer).invoke({"request": "hi"})
