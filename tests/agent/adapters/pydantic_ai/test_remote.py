"""A remote agent as a tool of a Pydantic AI agent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, FunctionToolset, RunContext, Tool
from pydantic_ai.models.openai import OpenAIChatModel

from codin.agent import agent
from codin.agent.adapters.pydantic_ai import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import open_store
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, made_of, scenarios
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


def order(what: str) -> str:
    return f'call translator {{"request": "{what}"}}'


async def test_its_name_description_and_schema_are_the_card_s(
    model: ModelServer, chat: OpenAIChatModel, peer: Peer
) -> None:
    await Agent(chat, tools=[tool(peer)]).run("hello")
    (told,) = model.requests[0]["tools"]
    assert told["function"]["name"] == "translator"
    assert "Says it in French." in told["function"]["description"]
    assert told["function"]["parameters"]["required"] == ["request"]
    assert tool(peer, name="french", description="Translate.").description == "Translate."


async def test_declared_fields_are_its_arguments(chat: OpenAIChatModel) -> None:
    class Trip(BaseModel):
        start: str
        days: int

    @agent(name="planner")
    async def plan(trip: Trip) -> str:
        """Plans trips."""
        return f"{trip.days} days from {trip.start}"

    async with listening(App(plan)) as served, connect(served.url) as planner:
        run = await Agent(chat, tools=[tool(planner)]).run('call planner {"start": "Brest", "days": 3}')
    assert run.output == "The tool said 3 days from Brest"


async def test_outside_codin_a_question_is_the_result(chat: OpenAIChatModel, peer: Peer) -> None:
    served = Agent(chat, tools=[tool(peer)])
    assert (await served.run(order("you"))).output == "The tool said bonjour you"
    told = "The agent did not finish (input required): Formal or familiar?"
    assert (await served.run(order("letter"))).output == f"The tool said {told}"


@scenarios()
async def test_a_peer_of_a_served_agent(
    scenario: Scenario,
    model: ModelServer,
    chat: OpenAIChatModel,
    peer: Peer,
    target: Peer | str,
    translator: Translator,
) -> None:
    served = Agent(chat, tools=[await made_of(target, tool)])
    await scenario(Outward(adapt(served), peer, translator, model))


async def test_an_answer_after_a_restart_reaches_the_same_task_there(
    chat: OpenAIChatModel, peer: Peer, translator: Translator, tmp_path: Any
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])), store)
    asked = await desk.send(order("letter"))
    await desk.close()
    await store.close()
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])), store)
    more = await desk.send("familiar", task=asked.task)
    assert more.questions[0]["schema"] == {"type": "integer"}
    done = await desk.send("0", task=more.task)
    await desk.close()
    await store.close()
    assert done.text == "The tool said familiar, 0 lines"
    assert len(translator.heard) == 1


async def test_two_calls_that_ask_are_answered_by_their_ids(
    model: ModelServer, chat: OpenAIChatModel, peer: Peer
) -> None:
    def answer(body: Body) -> Answer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        calls = (("translator", {"request": "letter"}), ("wipe", {"path": "/x"}))
        return Answer(" | ".join(results)) if results else Answer("", calls)

    model.answer = answer

    def wipe(path: str) -> str:
        return f"wiped {path}"

    asking = Agent(chat, tools=[tool(peer), Tool(wipe, requires_approval=True)])
    desk = Desk(adapt(asking))
    asked = await desk.send("go")
    tone, wiping = (question["id"] for question in asked.questions)
    more = await desk.send({tone: "formal", wiping: "no"}, task=asked.task)
    assert more.said == "How many lines?"
    done = await desk.send("1", task=asked.task)
    assert done.text == "formal, 1 lines | The tool call was denied."


async def test_an_agent_that_may_not_pause_asks_while_it_runs(chat: OpenAIChatModel, peer: Peer) -> None:
    asking = Agent(chat, tools=[tool(peer)])

    @asking.output_validator
    def keep(text: str) -> str:
        return text

    desk = Desk(adapt(asking))
    asked = await desk.send(order("secret"))
    assert asked.state == "AUTH_REQUIRED"
    assert (await desk.send("1234", task=asked.task)).text == "The tool said 4 letters"


async def test_an_agent_inside_a_tool_asks_while_it_runs(chat: OpenAIChatModel, peer: Peer) -> None:
    inner = Agent(chat, tools=[tool(peer)])
    outer = Agent(chat)

    @outer.tool
    async def delegate(ctx: RunContext, what: str) -> str:
        return (await inner.run(order(what), usage=ctx.usage)).output

    desk = Desk(adapt(outer))
    asked = await desk.send('call delegate {"what": "secret"}')
    assert asked.state == "AUTH_REQUIRED"
    assert (await desk.send("1234", task=asked.task)).text == "The tool said The tool said 4 letters"


async def test_cancel_goes_down_to_the_remote_task(chat: OpenAIChatModel, peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(Agent(chat, toolsets=[FunctionToolset([tool(peer)])])))
    task = await desk.begin(order("hang"))
    async with asyncio.timeout(30):
        await translator.stuck.wait()
        await desk.cancel(task)
        await translator.stopped.wait()
