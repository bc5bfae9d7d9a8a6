"""A remote agent as a tool of a crew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import start

from codin.agent import agent as agent_of
from codin.agent.adapters.crewai import adapt, tool
from codin.client import Peer, connect
from codin.errors import ConfigError
from codin.server import App
from codin.task import AgentResponse, Limits, Task
from codin.testing import ModelServer
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.desk import Desk
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

CALL = 'call translator {"request": "%s"}'


class Translator:
    """The remote agent."""

    id = name = "translator"
    description = "Says it in French."
    tools = ()

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.tasks.append(task.id)
        if task.text == "hang":
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if task.text == "refuse":
            return AgentResponse.rejected("not today")
        if task.text == "which":
            tone = await task.ask("Formal or familiar?")
            return AgentResponse.completed(f"{tone.text}: bonjour")
        if task.text == "secret":
            key = await task.authorize("Which key?")
            return AgentResponse.completed(f"{len(key.text)} letters")
        return AgentResponse.completed(f"bonjour {task.text}")


@agent_of
async def adder(a: int, b: int = 1) -> int:
    """Adds."""
    assert isinstance(a, int)
    return a + b


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def peer(translator: Translator) -> AsyncIterator[Peer]:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


async def test_a_peer_is_called_what_its_card_says(peer: Peer) -> None:
    made = tool(peer)
    assert made.name == "translator"
    assert "Says it in French." in made.description
    assert set(made.args_schema.model_json_schema()["properties"]) == {"request"}
    assert tool(peer, name="fr", description="French.").name == "fr"


async def test_a_served_crew_calls_a_peer(model: ModelServer, llm: Any, peer: Peer) -> None:
    turn = await Desk(adapt(crew_of(llm, tools=[tool(peer)]))).send(CALL % "tea")
    assert turn.text == "The tool said bonjour tea"


async def test_a_crew_outside_codin_calls_a_peer(llm: Any, peer: Peer) -> None:
    crew = crew_of(llm, CALL % "tea", tools=[tool(peer)])
    assert (await crew.akickoff()).raw == "The tool said bonjour tea"
    assert (await asyncio.to_thread(crew.kickoff)).raw == "The tool said bonjour tea"
    alone = helper(llm, tools=[tool(peer)])
    assert (await alone.kickoff_async(CALL % "milk")).raw == "The tool said bonjour milk"
    assert await tool(peer).arun(request="milk") == "bonjour milk"


async def test_what_the_peer_asks_goes_up_and_the_answer_down(llm: Any, peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(crew_of(llm, tools=[tool(peer)])))
    asked = await desk.send(CALL % "which")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    done = await desk.send("formal", task=asked.task)
    assert done.text == "The tool said formal: bonjour"
    assert len(set(translator.tasks)) == 1


async def test_a_credential_is_asked_for_as_such(llm: Any, peer: Peer) -> None:
    desk = Desk(adapt(crew_of(llm, tools=[tool(peer)])))
    asked = await desk.send(CALL % "secret")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
    done = await desk.send("hunter2", task=asked.task)
    assert done.text == "The tool said 7 letters"
    assert "hunter2" not in str(done.task.history)


async def test_a_crew_in_a_flow_asks_for_its_peer_too(llm: Any, peer: Peer) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return crew_of(llm, CALL % "which", tools=[made]).kickoff()

    made = tool(peer)
    desk = Desk(adapt(Outer()))
    asked = await desk.send("go")
    assert asked.said == "Formal or familiar?"
    assert (await desk.send("formal", task=asked.task)).text == "The tool said formal: bonjour"


async def test_a_canceled_crew_cancels_what_it_asked_its_peer(llm: Any, peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(crew_of(llm, tools=[tool(peer)])))
    task = await desk.begin(CALL % "hang")
    async with asyncio.timeout(20):
        await translator.stuck.wait()
        await desk.cancel(task)
        await translator.stopped.wait()


async def test_a_refusal_is_told_to_the_model(llm: Any, peer: Peer) -> None:
    turn = await Desk(adapt(crew_of(llm, tools=[tool(peer)]))).send(CALL % "refuse")
    assert turn.text == "The tool said The agent did not finish (rejected): not today"


async def test_a_peer_that_takes_data_is_called_with_its_fields(model: ModelServer, llm: Any) -> None:
    async with listening(App(adder)) as served, connect(served.url) as peer:
        made = tool(peer)
        assert set(made.args_schema.model_json_schema()["properties"]) == {"a", "b"}
        desk = Desk(adapt(crew_of(llm, tools=[made])))
        assert (await desk.send('call adder {"a": 2, "b": 3}')).text == "The tool said 5"
        assert (await desk.send('call adder {"a": 2}')).text == "The tool said 3"


async def test_tool_activity_names_the_peer(llm: Any, peer: Peer) -> None:
    turn = await Desk(adapt(crew_of(llm, tools=[tool(peer)]), tool_activity=True)).send(CALL % "tea")
    assert [text for text, _ in turn.news] == ["translator: started", "translator: finished"]


async def test_without_a_loop_there_is_nothing_to_come_back_to(peer: Peer) -> None:
    with pytest.raises(ConfigError, match="event loop"):
        await asyncio.to_thread(tool, peer)


async def test_a_call_that_would_wait_for_itself_is_refused(llm: Any, peer: Peer) -> None:
    with pytest.raises(ConfigError, match="event loop"):
        tool(peer).run(request="tea")
