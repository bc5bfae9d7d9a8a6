"""What the card tells of an ADK object, and which objects are taken."""

from __future__ import annotations

from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.apps import App, ResumabilityConfig
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import BaseTool, FunctionTool
from google.adk.workflow import START, Workflow
from pydantic import BaseModel

from codin.agent import as_agent
from codin.agent.adapters.adk import AdkAgent, adapt
from codin.errors import ConfigError
from tests.agent.adapters.adk.scripted import Scripted, speaker

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def remember(text: str, tool_context: Any) -> str:
    """Remember a text."""
    tool_context.state["text"] = text
    return f"remembered {text}"


def helper(**options: Any) -> LlmAgent:
    inner = speaker("inner", tools=[remember])
    return speaker("helper", tools=[add], description="Helps.", instruction="be sly", sub_agents=[inner], **options)


async def test_the_card_says_what_the_agent_says_of_itself_and_no_more() -> None:
    agent = adapt(helper())
    assert (agent.id, agent.name, agent.description) == ("helper", "helper", "Helps.")
    (skill,) = agent.skills
    assert (skill.id, skill.tags) == ("helper", ["google-adk"])
    assert "sly" not in str(agent.skills)
    assert "add" not in str(agent.skills)
    assert "inner" not in str(agent.skills)


async def test_tools_are_skills_only_on_request() -> None:
    agent = adapt(helper(), expose_tools=True)
    assert [skill.id for skill in agent.skills] == ["helper", "add", "remember"]


async def test_options_go_before_the_object() -> None:
    agent = adapt(helper(), name="Office", description="An office.", version="2.0.0", examples=["hi"], tags=["work"])
    assert (agent.id, agent.name, agent.description, agent.version) == ("office", "Office", "An office.", "2.0.0")
    assert (agent.skills[0].examples, agent.skills[0].tags) == (["hi"], ["work"])


async def test_schemas_are_on_the_card() -> None:
    agent = adapt(speaker("c", output_schema=Place, input_schema=Place))
    assert agent.output_schema is not None
    assert agent.input_schema is not None
    assert set(agent.output_schema["properties"]) == set(agent.input_schema["properties"]) == {"name"}
    assert "application/json" in agent.output_modes
    assert "application/json" not in adapt(speaker("c")).output_modes


async def test_tools_have_schemas_and_can_be_called() -> None:
    tools = {tool.name: tool for tool in adapt(helper()).tools}
    assert set(tools) == {"add", "remember"}
    assert tools["add"].spec.description == "Add two numbers."
    assert set(tools["add"].spec.input_schema["properties"]) == {"a", "b"}
    assert await tools["add"].invoke(a=2, b=3) == 5
    assert await tools["remember"].invoke({"text": "x"}) == "remembered x"


async def test_every_object_that_runs_is_found_by_its_type() -> None:
    class Mine(LlmAgent):
        pass

    app = App(name="shop", root_agent=speaker("root"))
    runner = Runner(app_name="desk", agent=speaker("root"), session_service=InMemorySessionService())
    objects: list[Any] = [
        speaker("c"),
        Mine(name="mine", model=Scripted()),
        Workflow(name="flow", edges=[(START, add)]),
        app,
        runner,
    ]
    agents = [as_agent(obj) for obj in objects]
    assert all(isinstance(agent, AdkAgent) for agent in agents)
    assert [agent.name for agent in agents] == ["c", "mine", "flow", "shop", "desk"]


async def test_an_object_of_google_s_that_is_no_agent_is_refused_with_a_hint() -> None:
    tool: BaseTool = FunctionTool(add)
    with pytest.raises(ConfigError, match="FunctionTool is nothing that ADK runs") as error:
        as_agent(tool)
    assert "App or a Runner" in str(error.value)


async def test_the_object_is_not_changed() -> None:
    agent: Any = helper()
    before = (dict(agent), list(agent.tools), agent.parent_agent)
    adapt(agent, name="other", tool_activity=True)
    assert (dict(agent), list(agent.tools), agent.parent_agent) == before


async def test_an_app_that_says_how_it_resumes_is_believed() -> None:
    config = ResumabilityConfig.model_construct(is_resumable=False)
    app = App.model_construct(name="shop", root_agent=speaker("root"), resumability_config=config)
    assert adapt(app).runner.resumability_config is config
