"""A remote agent as a tool of the OpenAI Agents SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from codin.agent import agent
from codin.agent.adapters.openai_agents import adapt, tool
from codin.client import Peer, connect
from codin.server import App
from codin.task import AgentResponse, Limits, MemoryStore, Task
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


@function_tool
def echo(request: str) -> str:
    return request


def order(what: str) -> str:
    return f'call waiter {{"request": "{what}"}}'


async def test_its_name_description_and_schema_are_the_card_s(
    model: ModelServer, chat: OpenAIChatCompletionsModel, peer: Peer
) -> None:
    await Runner.run(Agent("a", model=chat, tools=[tool(peer)]), "hello")
    (told,) = model.requests[0]["tools"]
    assert told["function"]["name"] == "waiter"
    assert "Brings things." in told["function"]["description"]
    assert told["function"]["parameters"]["required"] == ["request"]
    assert tool(peer, name="butler", description="Ask him.").description == "Ask him."


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
    assert (await Runner.run(served, order("jam"))).final_output == "The tool said here is jam"
    asked = await Runner.run(served, order("tea"))
    assert asked.final_output == "The tool said The agent did not finish (input required): Milk?"


async def test_what_fails_there_is_told_to_the_model(chat: OpenAIChatCompletionsModel, peer: Peer) -> None:
    turn = await Desk(adapt(Agent("a", model=chat, tools=[tool(peer)]))).send(order("refuse"))
    assert turn.text == "The tool said The agent did not finish (rejected): closed"


async def test_its_questions_go_to_the_caller_and_the_answers_to_the_same_task_there(
    chat: OpenAIChatCompletionsModel, peer: Peer, waiter: Waiter
) -> None:
    desk = Desk(adapt(Agent("a", model=chat, tools=[tool(peer)])))
    asked = await desk.send(order("tea"))
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Milk?")
    more = await desk.send("yes", task=asked.task)
    assert (more.state, more.said) == ("INPUT_REQUIRED", "How much sugar?")
    done = await desk.send("2", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "The tool said tea, milk: yes, sugar: 2")
    assert [text for _, text in waiter.heard] == ["tea"]


async def test_it_asks_for_a_credential_that_no_model_and_no_log_sees(
    model: ModelServer, chat: OpenAIChatCompletionsModel, peer: Peer
) -> None:
    store = MemoryStore()
    desk = Desk(adapt(Agent("a", model=chat, tools=[tool(peer)])), store)
    asked = await desk.send(order("secret"))
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
    done = await desk.send("hunter2", task=asked.task)
    assert done.text == "The tool said 7 letters"
    assert "hunter2" not in str(model.requests)
    assert not any(b"hunter2" in entry.body for commit in await store.feed(0) for entry in commit.entries)


async def test_two_agents_that_ask_at_once_are_answered_one_after_the_other(
    model: ModelServer, chat: OpenAIChatCompletionsModel, peer: Peer
) -> None:
    def answer(body: Body) -> Answer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        calls = [(name, {"request": "secret"}) for name in ("waiter", "butler", "echo")]
        return Answer(" | ".join(results)) if results else Answer("", calls)

    model.answer = answer
    async with listening(App(Waiter())) as served, connect(served.url) as other:
        asking = Agent("a", model=chat, tools=[tool(peer), tool(other, name="butler"), echo])
        desk = Desk(adapt(asking, tool_activity=True))
        turn = await desk.send("go")
        for key in ("1", "22"):
            assert turn.state == "AUTH_REQUIRED"
            turn = await desk.send(key, task=turn.task)
    assert turn.text in {"1 letters | 2 letters | secret", "2 letters | 1 letters | secret"}


async def test_cancel_goes_down_to_the_remote_task(
    chat: OpenAIChatCompletionsModel, peer: Peer, waiter: Waiter
) -> None:
    desk = Desk(adapt(Agent("a", model=chat, tools=[tool(peer)])))
    task = await desk.begin(order("hang"))
    async with asyncio.timeout(30):
        await waiter.stuck.wait()
        await desk.cancel(task)
        await waiter.stopped.wait()
