"""A remote agent as a tool of Agno."""

from __future__ import annotations

from typing import Any

import pytest
from agno.agent import Agent
from agno.models.openai.like import OpenAILike

from codin.agent.adapters.agno import adapt, tool
from codin.client import Peer
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, made_of, scenarios
from tests.agent.adapters.translator import Translator

pytestmark = pytest.mark.anyio


def asking(chat: OpenAILike, peer: Peer | str) -> Any:
    return Agent(model=chat, tools=[tool(peer)])


async def test_it_is_told_by_the_card(peer: Peer) -> None:
    found = tool(peer)
    assert (found.name, set(found.parameters["properties"])) == ("translator", {"request"})
    assert "Says it in French." in (found.description or "")
    named = tool(peer, name="french", description="Translate.")
    assert (named.name, named.description) == ("french", "Translate.")


@scenarios()
async def test_a_peer_of_a_served_agent(
    scenario: Scenario,
    model: ModelServer,
    chat: OpenAILike,
    peer: Peer,
    target: Peer | str,
    translator: Translator,
) -> None:
    served = await made_of(target, lambda remote: asking(chat, remote))
    await scenario(Outward(adapt(served), peer, translator, model))


async def test_a_model_calls_it(model: ModelServer, chat: OpenAILike, peer: Peer) -> None:
    turn = await Desk(adapt(asking(chat, peer))).send('call translator {"request": "hello"}')
    assert (turn.state, turn.text) == ("COMPLETED", "The tool said bonjour hello")
    (offered,) = model.requests[0]["tools"]
    assert offered["function"]["parameters"]["properties"].keys() == {"request"}


async def test_it_works_without_codin_around_it(chat: OpenAILike, peer: Peer) -> None:
    run: Any = await asking(chat, peer).arun('call translator {"request": "hello"}')
    assert run.content == "The tool said bonjour hello"
