"""What the card of a Pydantic AI agent tells, and what it keeps to itself."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryImage,
    DeferredToolRequests,
    FunctionToolset,
    NativeOutput,
    RunContext,
    TextOutput,
    ToolOutput,
    WrapperToolset,
)
from pydantic_ai.models.test import TestModel

from codin.agent import as_agent
from codin.agent.adapters.pydantic_ai import PydanticAIAgent, adapt
from codin.errors import ConfigError
from codin.tool import Tool

pytestmark = pytest.mark.anyio


class City(BaseModel):
    name: str
    people: int


def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def count(text: str) -> int:
    return len(text)


def test_name_and_description_are_the_agent_s_and_its_instructions_stay_private() -> None:
    told = adapt(Agent(name="Town Clerk", description="Knows towns.", instructions="secret", system_prompt="secret"))
    assert (told.name, told.id, told.description) == ("Town Clerk", "town-clerk", "Knows towns.")
    assert "secret" not in str([skill.to_dict() for skill in told.skills])


def test_an_agent_without_a_name_is_told_what_it_is_and_gets_none() -> None:
    agent = Agent()
    told = adapt(agent)
    assert (told.name, told.id) == ("agent", "agent")
    assert "Pydantic AI" in told.description
    assert agent.name is None


def test_what_is_given_wins() -> None:
    told = adapt(Agent(name="a"), name="Clerk", description="Knows.", version="2.0.0", examples=["hi"], tags=["t"])
    (skill,) = told.skills
    assert (told.name, told.version, told.description) == ("Clerk", "2.0.0", "Knows.")
    assert (skill.examples, skill.tags) == (["hi"], ["t"])


def test_it_is_found_by_its_type() -> None:
    assert isinstance(as_agent(Agent(name="clerk")), PydanticAIAgent)


@pytest.mark.parametrize(
    ("output", "modes", "kind"),
    [
        (str, ["text/plain"], None),
        ([str, DeferredToolRequests], ["text/plain"], None),
        (City, ["application/json"], "object"),
        (NativeOutput(City), ["application/json"], "object"),
        (ToolOutput(City, name="city"), ["application/json"], "object"),
        ([str, City], ["text/plain", "application/json"], "object"),
        (City | str, ["text/plain", "application/json"], "object"),
        (list[int], ["application/json"], "array"),
        (TextOutput(shout), ["text/plain"], None),
        (TextOutput(count), ["application/json"], "integer"),
        ([str, BinaryImage], ["text/plain", "image/*"], None),
    ],
)
def test_the_output_type_is_modes_and_schema(output: Any, modes: list[str], kind: str | None) -> None:
    told = adapt(Agent(output_type=output))
    assert list(told.output_modes) == modes
    assert (told.output_schema or {}).get("type") == kind


def test_an_output_of_two_types_has_a_schema_with_both() -> None:
    schema = adapt(Agent(output_type=[City, bool])).output_schema
    assert schema is not None
    assert len(schema["anyOf"]) == 2


def test_tools_stay_private_until_they_are_exposed() -> None:
    agent = Agent(name="clerk", tools=[shout], toolsets=[WrapperToolset(FunctionToolset([count]))])
    assert [skill.id for skill in adapt(agent).skills] == ["clerk"]
    assert [skill.id for skill in adapt(agent, expose_tools=True).skills] == ["clerk", "shout", "count"]


async def test_the_tools_of_an_agent_are_tools() -> None:
    agent = Agent(tools=[shout])

    @agent.tool
    def place(ctx: RunContext) -> str:
        return str(ctx.run_id)

    found, bound = adapt(agent).tools
    assert isinstance(found, Tool)
    assert found.spec.description == "Say it louder."
    assert await found.invoke(text="abc") == "ABC"
    with pytest.raises(ConfigError, match="context of a run"):
        await bound.invoke()


def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pydantic_ai\.Agent"):
        adapt(TestModel())


@dataclass
class Deps:
    user: str


def test_missing_dependencies_are_seen_when_the_agent_is_made() -> None:
    with pytest.raises(ConfigError, match="'Deps'"):
        adapt(Agent(deps_type=Deps))
    adapt(Agent(deps_type=Deps), deps=Deps("ada"))
    adapt(Agent(deps_type=Deps), deps=None)


def test_the_agent_is_not_changed() -> None:
    agent = Agent(name="clerk", output_type=City)
    before = copy.copy(vars(agent))
    adapt(agent, name="other", description="else", tool_activity=True)
    assert vars(agent) == before


def test_nothing_is_printed_or_traced_and_only_the_banner_is_switched_off() -> None:
    code = (
        "import logging, os, signal\n"
        "before, handlers = dict(os.environ), [signal.getsignal(number) for number in (2, 15)]\n"
        "import codin.agent.adapters.pydantic_ai\n"
        "assert {**before, 'PYDANTIC_AI_NO_BANNER': '1'} == dict(os.environ), set(os.environ) - set(before)\n"
        "assert [signal.getsignal(number) for number in (2, 15)] == handlers\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
