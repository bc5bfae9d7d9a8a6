"""A remote agent as a tool of the OpenAI Agents SDK."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from codin.agent import agent
from codin.agent.adapters.openai_agents import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, made_of, scenarios
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@function_tool
def echo(request: str) -> str:
    return request


def order(what: str) -> str:
    return f'call translator {{"request": "{what}"}}'


async def test_its_name_description_and_schema_are_the_card_s(
    model: ModelServer, chat: OpenAIChatCompletionsModel, peer: Peer
) -> None:
    await Runner.run(Agent("a", model=chat, tools=[tool(peer)]), "hello")
    (told,) = model.requests[0]["tools"]
    assert told["function"]["name"] == "translator"
    assert "Says it in French." in told["function"]["description"]
    assert told["function"]["parameters"]["required"] == ["request"]
    assert tool(peer, name="french", description="Translate.").description == "Translate."


async def test_declared_fields_are_its_arguments(chat: OpenAIChatCompletionsModel) -> None:
    class Trip(BaseModel):
        start: str
        days: int = 1

    @agent(name="planner")
    async def plan(trip: Trip) -> str:
        """Plans trips."""
        return f"{trip.days} days from {trip.start}"

    async with listening(App(plan)) as served, connect(served.url) as planner:
        run = await Runner.run(Agent("a", model=chat, tools=[tool(planner)]), 'call planner {"start": "Brest"}')
    assert run.final_output == "The tool said 1 days from Brest"


async def test_outside_codin_a_question_is_the_result(chat: OpenAIChatCompletionsModel, peer: Peer) -> None:
    served = Agent("a", model=chat, tools=[tool(peer)])
    assert (await Runner.run(served, order("you"))).final_output == "The tool said bonjour you"
    asked = await Runner.run(served, order("letter"))
    assert asked.final_output == "The tool said The agent did not finish (input required): Formal or familiar?"


@scenarios()
async def test_a_peer_of_a_served_agent(
    scenario: Scenario,
    model: ModelServer,
    chat: OpenAIChatCompletionsModel,
    peer: Peer,
    target: Peer | str,
    translator: Translator,
) -> None:
    served = Agent("a", model=chat, tools=[await made_of(target, tool)])
    await scenario(Outward(adapt(served), peer, translator, model))


async def test_two_agents_that_ask_at_once_are_answered_one_after_the_other(
    model: ModelServer, chat: OpenAIChatCompletionsModel, peer: Peer
) -> None:
    def answer(body: Body) -> Answer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        calls = [(name, {"request": "secret"}) for name in ("translator", "french", "echo")]
        return Answer(" | ".join(results)) if results else Answer("", calls)

    model.answer = answer
    async with listening(App(Translator())) as served, connect(served.url) as other:
        asking = Agent("a", model=chat, tools=[tool(peer), tool(other, name="french"), echo])
        desk = Desk(adapt(asking, tool_activity=True))
        turn = await desk.send("go")
        for key in ("1", "22"):
            assert turn.state == "AUTH_REQUIRED"
            turn = await desk.send(key, task=turn.task)
    assert turn.text in {"1 letters | 2 letters | secret", "2 letters | 1 letters | secret"}
