"""A remote agent as a tool of a Pydantic AI agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, FunctionToolset, RunContext, Tool
from pydantic_ai.models.openai import OpenAIChatModel

from codin.agent import agent
from codin.agent.adapters.pydantic_ai import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import AgentResponse, Limits, Task, open_store
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


class Waiter:
    """The remote agent."""

    id = name = "waiter"
    description = "Brings things."
    tools = ()

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append((task.id, task.text))
        if task.text == "hang":
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if task.text == "refuse":
            return AgentResponse.rejected("closed")
        if task.text == "secret":
            return AgentResponse.completed(f"{len((await task.authorize('Which key?')).text)} letters")
        if task.text == "tea":
            milk = (await task.ask("Milk?")).text
            sugar = await task.ask("How much sugar?", schema=int)
            return AgentResponse.completed(f"tea, milk: {milk}, sugar: {sugar}")
        return AgentResponse.completed(f"here is {task.text}")


@pytest.fixture
def waiter() -> Waiter:
    return Waiter()


@pytest.fixture
async def peer(waiter: Waiter) -> AsyncIterator[Peer]:
    async with listening(App(waiter, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


def order(what: str) -> str:
    return f'call waiter {{"request": "{what}"}}'


async def test_its_name_description_and_schema_are_the_card_s(
    model: ModelServer, chat: OpenAIChatModel, peer: Peer
) -> None:
    await Agent(chat, tools=[tool(peer)]).run("hello")
    (told,) = model.requests[0]["tools"]
    assert told["function"]["name"] == "waiter"
    assert "Brings things." in told["function"]["description"]
    assert told["function"]["parameters"]["required"] == ["request"]
    assert tool(peer, name="butler", description="Ask him.").description == "Ask him."


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
    assert (await served.run(order("jam"))).output == "The tool said here is jam"
    assert (await served.run(order("tea"))).output == "The tool said The agent did not finish (input required): Milk?"


async def test_what_fails_there_is_told_to_the_model(chat: OpenAIChatModel, peer: Peer) -> None:
    turn = await Desk(adapt(Agent(chat, tools=[tool(peer)]))).send(order("refuse"))
    assert turn.text == "The tool said The agent did not finish (rejected): closed"


async def test_its_questions_go_to_the_caller_and_the_answers_to_the_same_task_there(
    chat: OpenAIChatModel, peer: Peer, waiter: Waiter
) -> None:
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])))
    asked = await desk.send(order("tea"))
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Milk?")
    more = await desk.send("yes", task=asked.task)
    assert (more.state, more.said) == ("INPUT_REQUIRED", "How much sugar?")
    assert more.questions[0]["value"]["schema"] == {"type": "integer"}
    done = await desk.send("2", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "The tool said tea, milk: yes, sugar: 2")
    assert [text for _, text in waiter.heard] == ["tea"]


async def test_it_asks_for_a_credential_that_no_model_and_no_log_sees(
    model: ModelServer, chat: OpenAIChatModel, peer: Peer
) -> None:
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])))
    asked = await desk.send(order("secret"))
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
    done = await desk.send("hunter2", task=asked.task)
    assert done.text == "The tool said 7 letters"
    assert "hunter2" not in str(model.requests)
    assert "hunter2" not in str((await desk.get(asked.task)).to_dict())


async def test_an_answer_after_a_restart_reaches_the_same_task_there(
    chat: OpenAIChatModel, peer: Peer, waiter: Waiter, tmp_path: Any
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])), store)
    asked = await desk.send(order("tea"))
    await desk.close()
    await store.close()
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(Agent(chat, tools=[tool(peer)])), store)
    more = await desk.send("no", task=asked.task)
    done = await desk.send("0", task=more.task)
    await desk.close()
    await store.close()
    assert done.text == "The tool said tea, milk: no, sugar: 0"
    assert len(waiter.heard) == 1


async def test_two_calls_that_ask_are_answered_by_their_ids(
    model: ModelServer, chat: OpenAIChatModel, peer: Peer
) -> None:
    def answer(body: Body) -> Answer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        calls = (("waiter", {"request": "tea"}), ("wipe", {"path": "/x"}))
        return Answer(" | ".join(results)) if results else Answer("", calls)

    model.answer = answer

    def wipe(path: str) -> str:
        return f"wiped {path}"

    asking = Agent(chat, tools=[tool(peer), Tool(wipe, requires_approval=True)])
    desk = Desk(adapt(asking))
    asked = await desk.send("go")
    tea, wiping = (question["id"] for question in asked.questions)
    more = await desk.send({tea: "yes", wiping: "no"}, task=asked.task)
    assert more.said == "How much sugar?"
    done = await desk.send("1", task=asked.task)
    assert done.text == "tea, milk: yes, sugar: 1 | The tool call was denied."


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


async def test_cancel_goes_down_to_the_remote_task(chat: OpenAIChatModel, peer: Peer, waiter: Waiter) -> None:
    desk = Desk(adapt(Agent(chat, toolsets=[FunctionToolset([tool(peer)])])))
    task = await desk.begin(order("hang"))
    async with asyncio.timeout(30):
        await waiter.stuck.wait()
        await desk.cancel(task)
        await waiter.stopped.wait()
