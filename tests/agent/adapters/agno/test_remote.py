"""A remote agent as a tool of Agno."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.openai.like import OpenAILike

from codin.agent.adapters.agno import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import Limits
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def peer(translator: Translator) -> AsyncIterator[Peer]:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


def asking(chat: OpenAILike, peer: Peer) -> Any:
    return Agent(model=chat, tools=[tool(peer)])


async def test_it_is_told_by_the_card(peer: Peer) -> None:
    found = tool(peer)
    assert (found.name, set(found.parameters["properties"])) == ("translator", {"request"})
    assert "Says it in French." in (found.description or "")
    named = tool(peer, name="french", description="Translate.")
    assert (named.name, named.description) == ("french", "Translate.")


async def test_a_model_calls_it(model: ModelServer, chat: OpenAILike, peer: Peer) -> None:
    turn = await Desk(adapt(asking(chat, peer))).send('call translator {"request": "hello"}')
    assert (turn.state, turn.text) == ("COMPLETED", "The tool said bonjour")
    (offered,) = model.requests[0]["tools"]
    assert offered["function"]["parameters"]["properties"].keys() == {"request"}


async def test_it_works_without_codin_around_it(chat: OpenAILike, peer: Peer) -> None:
    run: Any = await asking(chat, peer).arun('call translator {"request": "hello"}')
    assert run.content == "The tool said bonjour"


async def test_what_went_wrong_is_told_in_words(chat: OpenAILike, peer: Peer) -> None:
    turn = await Desk(adapt(asking(chat, peer))).send('call translator {"request": "refuse"}')
    assert turn.text == "The tool said The agent did not finish (rejected): not today"


async def test_a_question_of_the_peer_goes_up_to_the_caller_and_the_answer_back(
    chat: OpenAILike, peer: Peer, translator: Translator
) -> None:
    desk = Desk(adapt(asking(chat, peer)))
    asked = await desk.send('call translator {"request": "which"}')
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    done = await desk.send("formal", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "The tool said formal: bonjour")
    assert translator.heard == ["which"]


async def test_cancel_reaches_the_peer(chat: OpenAILike, peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(asking(chat, peer)))
    async with asyncio.timeout(30):
        task = await desk.begin('call translator {"request": "hang"}')
        await translator.stuck.wait()
        assert (await desk.cancel(task)).status.state.name == "CANCELED"
        await translator.stopped.wait()
