"""A remote agent as a tool of LangChain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool
from langchain_openai import ChatOpenAI

from codin.agent import agent
from codin.agent.adapters.langchain import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, made_of, scenarios
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@agent
async def convert(config: str, amount: int, run_manager: str = "") -> str:
    """Convert money."""
    return f"{amount} {config} {run_manager}".strip()


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
    assert (answer.content, answer.tool_call_id) == ("bonjour hello", "call_1")


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
    pieces = [("codin.text", text) for text in ("bon", "jour ", "hi")]
    assert events == [("codin.status", "looking it up"), *pieces]


def asking(remote: BaseTool) -> Any:
    async def work(text: str) -> str:
        return await remote.ainvoke({"request": text})

    return RunnableLambda(work)


@scenarios()
async def test_a_peer_of_a_served_runnable(
    scenario: Scenario, peer: Peer, target: Peer | str, translator: Translator, model: ModelServer
) -> None:
    runnable = asking(await made_of(target, tool))
    await scenario(Outward(adapt(runnable), peer, translator, model, "{}", "{}"))


async def test_a_status_of_the_peer_is_one_of_the_task_and_its_text_is_not(peer: Peer) -> None:
    turn = await Desk(adapt(asking(tool(peer)))).send("hi")
    assert (turn.text, [text for text, _ in turn.news]) == ("bonjour hi", ["looking it up"])


async def test_without_asyncio_it_says_what_to_do(peer: Peer) -> None:
    with pytest.raises(NotImplementedError, match="ainvoke"):
        tool(peer).invoke({"request": "hi"})
