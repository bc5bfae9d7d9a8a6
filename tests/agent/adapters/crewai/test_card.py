"""What the card tells of a crew, a flow or an agent, and what it keeps to itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import start
from pydantic import BaseModel

from codin.agent import as_agent
from codin.agent.adapters.crewai import adapt
from codin.cli._target import load_agents
from codin.errors import ConfigError
from codin.tool import Tool
from tests.agent.adapters.crewai.crews import Add, Crew, Task, crew_of, helper

pytestmark = pytest.mark.anyio


class Wish(BaseModel):
    topic: str = "tea"
    pages: int = 1
    notes: list[str] = []


class Essay(Flow[Wish]):
    """Writes an essay."""

    @start()
    def work(self) -> str:
        return self.state.topic


class City(BaseModel):
    name: str


def a_flow(llm: Any) -> Any:
    return Essay()


def test_a_crew_tells_what_its_agents_are_for_and_no_instructions(llm: Any) -> None:
    agent = adapt(crew_of(llm, "secret instructions for {topic}", crew={"name": "News Room"}))
    assert (agent.name, agent.id, agent.description) == ("News Room", "news-room", "Helper: help")
    assert "secret" not in str([skill.to_json() for skill in agent.skills])


def test_an_agent_tells_its_role_and_its_goal(llm: Any) -> None:
    agent = adapt(helper(llm, "Poet"))
    assert (agent.name, agent.id, agent.description) == ("Poet", "poet", "help")
    assert (agent.input_schema, agent.output_schema) == (None, None)


def test_a_flow_tells_its_docstring(llm: Any) -> None:
    agent = adapt(Essay())
    assert (agent.name, agent.id, agent.description) == ("Essay", "essay", "Writes an essay.")


def test_a_flow_without_docstring_is_told_what_it_is() -> None:
    class Mute(Flow[dict[str, Any]]):
        @start()
        def work(self) -> None: ...

    assert adapt(Mute()).description == "The CrewAI flow 'Mute'."


def test_what_is_given_wins(llm: Any) -> None:
    agent = adapt(crew_of(llm), name="Filler", description="Does it.", version="2.1.0", examples=["fill"], tags=["t"])
    (skill,) = agent.skills
    assert (agent.name, agent.version, skill.description) == ("Filler", "2.1.0", "Does it.")
    assert (skill.examples, skill.tags) == (["fill"], ["t"])


def test_the_template_variables_of_a_crew_are_its_inputs(llm: Any) -> None:
    agent = adapt(crew_of(llm, 'about {topic} in {tone}, as {"json": 1}'))
    assert agent.input_schema == {
        "type": "object",
        "properties": {"tone": {"type": "string"}, "topic": {"type": "string"}},
        "required": ["tone", "topic"],
    }


def test_defaults_need_not_be_given(llm: Any) -> None:
    agent = adapt(crew_of(llm, "about {topic} in {tone}"), defaults={"tone": "plain words"})
    assert agent.input_schema is not None
    assert agent.input_schema["required"] == ["topic"]


def test_the_state_of_a_flow_is_its_input_and_its_id_is_nobody_s() -> None:
    agent = adapt(Essay())
    assert agent.input_schema is not None
    assert set(agent.input_schema["properties"]) == {"topic", "pages", "notes"}


def test_a_structured_answer_has_its_schema(llm: Any) -> None:
    for agent in (adapt(crew_of(llm, output_pydantic=City)), adapt(helper(llm), output=City)):
        assert agent.output_schema is not None
        assert set(agent.output_schema["properties"]) == {"name"}
        assert agent.output_modes == ("application/json",)


def test_tools_stay_private_until_they_are_exposed(llm: Any) -> None:
    crew = crew_of(llm, tools=[Add()])
    assert [skill.id for skill in adapt(crew).skills] == ["helpers"]
    assert [skill.id for skill in adapt(crew, expose_tools=True).skills] == ["helpers", "add"]


async def test_the_tools_of_a_crew_are_tools(llm: Any) -> None:
    (found,) = adapt(crew_of(llm, tools=[Add()])).tools
    assert isinstance(found, Tool)
    assert found.spec.input_schema["properties"]["a"]["type"] == "integer"
    assert found.spec.description == "Add two numbers."
    assert await found.invoke(a=2, b=3) == 5


def test_codin_finds_the_adapter_by_type(llm: Any) -> None:
    for obj, name in ((crew_of(llm), "helpers"), (helper(llm), "Helper"), (Essay(), "Essay")):
        assert as_agent(obj).name == name


def test_what_is_no_crew_flow_or_agent_is_refused(llm: Any) -> None:
    with pytest.raises(ConfigError, match="Crew, a Flow or an Agent"):
        as_agent(Task(description="x", expected_output="y", agent=helper(llm)))


@pytest.mark.parametrize("make", [crew_of, a_flow], ids=["crew", "flow"])
def test_a_text_field_that_does_not_exist_is_refused(llm: Any, make: Any) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        adapt(make(llm), text_field="nowhere")


def test_a_crew_without_tasks_is_refused(llm: Any) -> None:
    with pytest.raises(ConfigError, match="without tasks"):
        adapt(Crew(agents=[helper(llm)], tasks=[]))


def test_a_crew_of_a_user_s_subclass_is_served(llm: Any) -> None:
    class Own(Crew):
        pass

    agent = helper(llm)
    task = Task(description="x", expected_output="y", agent=agent)
    assert as_agent(Own(name="own", agents=[agent], tasks=[task])).name == "own"


SHOP = """
from crewai import LLM, Agent, Crew, Flow, Task
from crewai.flow import start
from crewai.tools import tool

llm = LLM(model="openai/gpt-4o-mini", api_key="-")
scout, writer, alone = (
    Agent(role=role, goal="Write.", backstory="It writes.", llm=llm) for role in ("scout", "writer", "alone")
)
essay = Task(description="Write about {topic}.", expected_output="A page.", agent=writer)
room = Crew(name="room", agents=[writer], tasks=[essay])
"""
FLOW = """
@tool
def ask(question: str) -> str:
    "Ask the scout."
    return str(scout.kickoff(question))

head = Agent(role="head", goal="Lead.", backstory="It leads.", llm=llm, tools=[ask])

class House(Flow):
    @start()
    def work(self):
        return ask_room(self.state["topic"]) + str(head.kickoff("hello"))

def ask_room(topic):
    return str(room.kickoff({"topic": topic}))

house = House()
"""


@pytest.mark.parametrize(
    ("source", "served"),
    [(SHOP, ["alone", "room", "scout"]), (SHOP + FLOW, ["House", "alone"])],
    ids=["a crew and its agent", "a flow and its crew"],
)
def test_parts_are_not_served_beside_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, served: list[str]
) -> None:
    place = tmp_path / f"shop_{len(served)}.py"
    place.write_text(source)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert sorted(agent.name for agent in load_agents([str(place)])) == served
