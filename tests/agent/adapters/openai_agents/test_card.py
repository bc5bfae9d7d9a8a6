"""What the card of an agent of the OpenAI Agents SDK tells, and what it keeps to itself."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from agents import Agent, AgentOutputSchema, function_tool
from codin.agent import as_agent
from codin.agent.adapters.openai_agents import OpenAIAgent, adapt
from codin.errors import ConfigError
from codin.tool import Tool

pytestmark = pytest.mark.anyio


class City(BaseModel):
    name: str
    people: int


@function_tool
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def test_name_and_description_are_the_agent_s_and_its_instructions_stay_private() -> None:
    told = adapt(Agent("Town Clerk", handoff_description="Knows towns.", instructions="secret"))
    assert (told.name, told.id, told.description) == ("Town Clerk", "town-clerk", "Knows towns.")
    assert "secret" not in str([skill.to_dict() for skill in told.skills])


def test_what_is_given_wins() -> None:
    told = adapt(Agent("a"), name="Clerk", description="Knows.", version="2.0.0", examples=["hi"], tags=["t"])
    (skill,) = told.skills
    assert (told.name, told.version, told.description) == ("Clerk", "2.0.0", "Knows.")
    assert (skill.examples, skill.tags) == (["hi"], ["t"])


def test_it_is_found_by_its_type() -> None:
    assert isinstance(as_agent(Agent("clerk")), OpenAIAgent)


@pytest.mark.parametrize(
    ("output", "modes", "kind"),
    [
        (None, ["text/plain"], None),
        (str, ["text/plain"], None),
        (City, ["application/json"], "object"),
        (AgentOutputSchema(City, strict_json_schema=False), ["application/json"], "object"),
        (list[int], ["application/json"], "array"),
    ],
)
def test_the_output_type_is_modes_and_schema(output: Any, modes: list[str], kind: str | None) -> None:
    told = adapt(Agent("a", output_type=output))
    assert list(told.output_modes) == modes
    assert (told.output_schema or {}).get("type") == kind


def test_tools_stay_private_until_they_are_exposed() -> None:
    agent = Agent("clerk", tools=[shout])
    assert [skill.id for skill in adapt(agent).skills] == ["clerk"]
    assert [skill.id for skill in adapt(agent, expose_tools=True).skills] == ["clerk", "shout"]


async def test_the_tools_of_an_agent_are_tools() -> None:
    (found,) = adapt(Agent("clerk", tools=[shout])).tools
    assert isinstance(found, Tool)
    assert found.spec.description == "Say it louder."
    assert found.spec.input_schema["required"] == ["text"]
    assert await found.invoke(text="abc") == "ABC"


def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"agents\.Agent"):
        adapt(shout)


def test_the_agent_is_not_changed() -> None:
    agent = Agent("clerk", output_type=City, tools=[shout])
    before = copy.copy(vars(agent))
    adapt(agent, name="other", description="else", tool_activity=True, max_turns=3)
    assert vars(agent) == before


_TRACED = """
import os
from agents import Agent, trace
from agents.tracing import get_trace_provider
import codin.agent.adapters.openai_agents
print(type(get_trace_provider().create_trace("run")).__name__)
"""


@pytest.mark.parametrize(
    ("variables", "kind"), [({}, "NoOpTrace"), ({"OPENAI_AGENTS_DISABLE_TRACING": "0"}, "TraceImpl")]
)
def test_nothing_is_traced_unless_the_user_says_so(variables: dict[str, str], kind: str) -> None:
    env = {**os.environ, "OPENAI_API_KEY": "x", **variables}
    done = subprocess.run([sys.executable, "-c", _TRACED], check=True, env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{kind}\n", "")


def test_nothing_else_of_the_process_is_touched() -> None:
    code = (
        "import logging, os, signal\n"
        "before, handlers = dict(os.environ), [signal.getsignal(number) for number in (2, 15)]\n"
        "import codin.agent.adapters.openai_agents\n"
        "assert {**before, 'OPENAI_AGENTS_DISABLE_TRACING': '1'} == dict(os.environ)\n"
        "assert [signal.getsignal(number) for number in (2, 15)] == handlers\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
