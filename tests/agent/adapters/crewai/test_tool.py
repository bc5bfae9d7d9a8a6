"""A remote agent as a tool of a crew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import start

from codin.agent import agent as agent_of
from codin.agent.adapters.crewai import adapt, tool
from codin.client import Peer, connect
from codin.errors import ConfigError
from codin.server import App
from codin.testing import ModelServer
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, made_of, scenarios
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

CALL = 'call translator {"request": "%s"}'


@agent_of
async def adder(a: int, b: int = 1) -> int:
    """Adds."""
    assert isinstance(a, int)
    return a + b


async def test_a_peer_is_called_what_its_card_says(peer: Peer) -> None:
    made = tool(peer)
    assert made.name == "translator"
    assert "Says it in French." in made.description
    assert set(made.args_schema.model_json_schema()["properties"]) == {"request"}
    assert tool(peer, name="fr", description="French.").name == "fr"


@scenarios()
async def test_a_peer_of_a_served_crew(
    scenario: Scenario, model: ModelServer, llm: Any, peer: Peer, target: Peer | str, translator: Translator
) -> None:
    crew = crew_of(llm, tools=[await made_of(target, tool)])
    await scenario(Outward(adapt(crew), peer, translator, model))


async def test_a_crew_outside_codin_calls_a_peer(llm: Any, target: Peer | str) -> None:
    made = await made_of(target, tool)
    crew = crew_of(llm, CALL % "tea", tools=[made])
    assert (await crew.akickoff()).raw == "The tool said bonjour tea"
    assert (await asyncio.to_thread(crew.kickoff)).raw == "The tool said bonjour tea"
    alone = helper(llm, tools=[made])
    assert (await alone.kickoff_async(CALL % "milk")).raw == "The tool said bonjour milk"
    assert await made.arun(request="milk") == "bonjour milk"


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
