"""Sessions, teams, cards, and what the adapter keeps its hands off."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from typing import Any, cast

import pytest
from agno import tools
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai.like import OpenAILike
from agno.team import Team
from agno.tools import Toolkit
from agno.workflow import Workflow

from codin.agent import as_agent
from codin.agent.adapters.agno import AgnoAgent, adapt
from codin.errors import ConfigError
from codin.testing import Body, ModelAnswer, ModelServer
from codin.tool import Tool
from codin.trust import Caller
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio

tool: Any = cast("Any", tools).tool


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def lookup(word: str) -> str:
    """Look a word up."""
    return word[::-1]


class Kit(Toolkit):
    def __init__(self) -> None:
        super().__init__(name="kit", tools=[self.double])

    def double(self, n: int) -> int:
        """Double a number."""
        return 2 * n


# -- the card ----------------------------------------------------------------------------------------------------------


def test_an_agent_and_a_team_are_found_by_their_type() -> None:
    member = Agent(name="Member", role="Does the work.")
    assert isinstance(as_agent(member), AgnoAgent)
    assert isinstance(as_agent(Team(members=[member])), AgnoAgent)


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(ConfigError, match="Team"):
        adapt(Workflow(name="flow"))


def test_name_and_description_are_agno_s_own_and_instructions_private() -> None:
    agent = adapt(Agent(name="News Room", description="Tells the news.", instructions="Never say fish."))
    assert (agent.name, agent.id, agent.description) == ("News Room", "news-room", "Tells the news.")
    (skill,) = agent.skills
    assert skill.tags == ["agno"]
    assert "fish" not in str(vars(agent)["skills"])
    unnamed = adapt(Team(members=[]))
    assert (unnamed.name, unnamed.description) == ("team", "The Agno team 'team'.")


async def test_tools_stay_private_until_they_are_exposed() -> None:
    agent = Agent(name="helper", tools=[add, lookup, Kit()])
    assert [skill.id for skill in adapt(agent).skills] == ["helper"]
    assert [skill.id for skill in adapt(agent, expose_tools=True).skills] == ["helper", "add", "lookup", "double"]
    found = {tool.name: tool for tool in adapt(agent).tools}
    assert all(isinstance(tool, Tool) for tool in found.values())
    assert found["lookup"].spec.description == "Look a word up."
    assert set(found["add"].spec.input_schema["properties"]) == {"a", "b"}
    assert await found["add"].invoke(a=1, b=2) == 3
    assert await found["lookup"].invoke(word="abc") == "cba"
    assert await found["double"].invoke({"n": 4}) == 8


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_context_is_a_session_and_nobody_else_s(model: ModelServer, chat: OpenAILike) -> None:
    db = InMemoryDb()
    desk = Desk(adapt(Agent(model=chat, db=db, add_history_to_context=True)))
    ann, bob = Caller("ann"), Caller("bob")
    await desk.send("one", context="c", caller=ann)
    await desk.send("two", context="c", caller=ann)
    await desk.send("three", context="other", caller=ann)
    await desk.send("four", context="c", caller=bob)
    said = [[message["content"] for message in request["messages"]] for request in model.requests]
    assert said == [["one"], ["one", "You said one", "two"], ["three"], ["four"]]
    sessions: Any = db.get_sessions()
    assert {session.user_id for session in sessions} == {"ann", "bob"}


async def test_callers_of_two_tenants_with_one_id_are_two_users(chat: OpenAILike) -> None:
    db = InMemoryDb()
    desk = Desk(adapt(Agent(model=chat, db=db)))
    for caller in (Caller("ann"), Caller("ann", "x"), Caller("x/ann"), Caller("ann", "/x")):
        await desk.send("hello", caller=caller)
    sessions: Any = db.get_sessions()
    assert len({session.user_id for session in sessions}) == 4


async def test_what_was_canceled_is_not_remembered(model: ModelServer, chat: OpenAILike) -> None:
    desk = Desk(adapt(Agent(model=chat, db=InMemoryDb(), add_history_to_context=True)))
    task = await desk.begin("hang on", context="c")
    await model.stuck.wait()
    await desk.cancel(task)
    await desk.send("hello", context="c")
    assert [message["content"] for message in model.requests[-1]["messages"]] == ["hello"]


# -- teams -------------------------------------------------------------------------------------------------------------


def leads(body: Body) -> ModelAnswer:
    last = body["messages"][-1]
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    if "delegate_task_to_member" in tools and last["role"] == "user":
        return ModelAnswer(calls=[("delegate_task_to_member", {"member_id": "adder", "task": "add up"})])
    if "add" in tools and last["role"] == "user":
        return ModelAnswer(calls=[("add", {"a": 2, "b": 3})])
    return ModelAnswer(f"Heard {last['content']}")


@pytest.mark.parametrize(("directly", "text"), [(False, "Heard Heard 5"), (True, "Heard 5")])
async def test_a_team_answers_with_its_leader_s_words_or_its_member_s(
    model: ModelServer, chat: OpenAILike, directly: bool, text: str
) -> None:
    model.answer = leads
    adder = Agent(name="adder", model=chat, tools=[add])
    team = Team(name="crew", model=chat, members=[adder], respond_directly=directly, stream_member_events=False)
    turn = await Desk(adapt(team, tool_activity=True)).send("2 + 3?")
    assert (turn.state, turn.text) == ("COMPLETED", text)
    assert turn.text == "".join(turn.chunks)
    assert {name: turn.usage[name] for name in model.spent} == model.spent
    assert "add: finished" in [news for news, _ in turn.news]


# -- hands off ---------------------------------------------------------------------------------------------------------


async def test_neither_the_team_nor_its_members_are_changed(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = leads
    adder = Agent(name="adder", tools=[add])
    team = Team(name="crew", model=chat, members=[adder], db=InMemoryDb(), pre_hooks=[])
    before = [copy.copy(vars(each)) for each in (team, adder)]
    assert (await Desk(adapt(team)).send("2 + 3?")).state == "COMPLETED"
    assert [vars(each) for each in (team, adder)] == before


def test_telemetry_is_off_unless_the_user_turned_it_on() -> None:
    code = "import os; import codin.agent.adapters.agno; print(os.environ['AGNO_TELEMETRY'])"
    plain = {name: value for name, value in os.environ.items() if name != "AGNO_TELEMETRY"}
    for given, wanted in (({}, "false"), ({"AGNO_TELEMETRY": "true"}, "true")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, env={**plain, **given}, capture_output=True, text=True)
        assert done.stdout.strip() == wanted


async def test_telemetry_is_off_at_every_run(chat: OpenAILike, monkeypatch: pytest.MonkeyPatch) -> None:
    import agno.api.agent

    sent: list[Any] = []

    async def send(run: Any) -> None:
        sent.append(run)

    monkeypatch.setattr(agno.api.agent, "acreate_agent_run", send)
    await Desk(adapt(Agent(model=chat))).send("hello")
    assert sent == []
