"""What every framework does with tools of codin, and codin with its tools: `scenarios` parametrises a test by it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import codin
from codin.agent import Task, as_agent
from codin.agent import agent as agent_of
from codin.agent.adapters import tool_of
from codin.errors import ConfigError, InvalidArguments, ToolFailed
from codin.task import MemoryStore
from codin.testing import Body, ModelAnswer, ModelServer, serving
from codin.tool import Tool, ToolExecutor, ToolRegistry, tool
from codin.trust import BearerTokens, Caller
from tests.agent.adapters.desk import Desk

__all__ = ["Native", "Scenario", "one_that_takes_the_context_of_a_run_is_refused", "scenarios", "steep", "weigh"]


@dataclass(frozen=True)
class Native:
    """A framework.

    Args:
        adapter: its package in codin.
        model: what its agents talk to.
        agent: one of its agents with these tools of its own.
        made: its own tool, of a function with a docstring.
        schema: the JSON Schema of the arguments of a tool of its own.
        told: what a model would be told by a tool of its own, as text.
        bound: a tool of its own that takes the context of a run, where there is such a thing.
    """

    adapter: ModuleType
    model: ModelServer
    agent: Callable[[Sequence[Any]], Any]
    made: Callable[[Callable[..., Any]], Any]
    schema: Callable[[Any], Mapping[str, Any]]
    told: Callable[[Any, Mapping[str, Any]], Awaitable[str]]
    bound: Callable[[], Any] = object

    def tool(self, tool: Tool) -> Any:
        """A tool of codin as one of the framework."""
        (native,) = self.adapter.native_tools(tool)
        return native

    def served(self, *tools: Tool) -> Any:
        """An agent of the framework with these tools, as codin serves it."""
        return as_agent(self.agent(self.adapter.native_tools(*tools)), name="helper")


Scenario = Callable[[Native], Coroutine[Any, Any, None]]


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Cup(BaseModel):
    size: Size
    sugar: Annotated[int, Field(ge=0, le=5)] = 1


@tool
async def brew(cup: Cup, kind: Literal["black", "green"] = "black", minutes: Annotated[int, Field(gt=0)] = 3) -> str:
    """Make tea.

    Args:
        cup: what it is poured into.
    """
    return f"{cup.size.value} {kind} {minutes}"


@tool
async def weigh(leaves: int) -> dict[str, int]:
    """How heavy leaves are."""
    return {"grams": 2 * leaves}


@tool
async def spill(what: str) -> str:
    """Spills."""
    raise ValueError(f"no {what} left")


@tool(approval=lambda arguments: f"Really buy {arguments['what']}?")
async def buy(what: str) -> str:
    """Buys."""
    return f"bought {what}"


@tool(scopes=["pay"])
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


@tool
async def recite(line: str) -> AsyncIterator[str]:
    """Says a line, word by word."""
    for word in line.split():
        yield f"{word}/"


def order(name: str, **arguments: Any) -> str:
    """What the local model calls a tool for."""
    return f"call {name} {json.dumps(arguments)}"


# -- tools of codin ----------------------------------------------------------------------------------------------------


async def its_name_description_and_schema_are_the_tool_s(native: Native) -> None:
    made = native.tool(brew)
    assert (made.name, made.description) == ("brew", "Make tea.")
    schema, wanted = native.schema(made), brew.spec.input_schema
    for part in ("properties", "required", "$defs"):
        assert schema[part] == wanted[part]
    await Desk(native.served(brew)).send("hello")
    (offered,) = native.model.requests[0]["tools"]
    assert (offered["function"]["name"], offered["function"]["description"]) == ("brew", "Make tea.")
    assert set(offered["function"]["parameters"]["properties"]) == {"cup", "kind", "minutes"}


async def it_is_called_outside_of_a_task(native: Native) -> None:
    made, heavy = native.tool(brew), native.tool(weigh)
    assert "small black 3" in await native.told(made, {"cup": {"size": "small"}})
    assert "large green 5" in await native.told(made, {"cup": {"size": "large"}, "kind": "green", "minutes": 5})
    assert json.loads(await native.told(heavy, {"leaves": 3})) == {"grams": 6}


async def what_does_not_fit_is_said_to_the_model(native: Native) -> None:
    for arguments, field in (
        ({"cup": {"size": "huge"}}, "cup.size"),
        ({"cup": {"size": "small"}, "minutes": 0}, "minutes"),
        ({}, "cup"),
    ):
        assert f"the arguments of 'brew' do not fit: {field}" in await native.told(native.tool(brew), arguments)


async def an_error_is_said_to_the_model(native: Native) -> None:
    assert "ValueError: no tea left" in await native.told(native.tool(spill), {"what": "tea"})
    turn = await Desk(native.served(spill)).send(order("spill", what="tea"))
    assert turn.state == "COMPLETED"
    assert "ValueError: no tea left" in turn.text


async def a_tool_that_streams_gives_its_whole_result(native: Native) -> None:
    assert "one/two/three/" in await native.told(native.tool(recite), {"line": "one two three"})


async def a_registry_gives_the_newest_of_each(native: Native) -> None:
    @tool(name="weigh", version="2.0.0")
    async def weighed(leaves: int) -> str:
        """How heavy leaves are, in words."""
        return "heavy"

    first, second, third = native.adapter.native_tools(spill, ToolRegistry([weighed, weigh]), brew)
    assert [each.name for each in (first, second, third)] == ["spill", "weigh", "brew"]
    assert "heavy" in await native.told(second, {"leaves": 1})


async def its_use_is_in_the_log_of_the_task(native: Native) -> None:
    store = MemoryStore()
    async with serving(native.served(brew), store=store) as url, codin.connect(url) as peer:
        reply = await peer.send(order("brew", cup={"size": "small"}))
    assert "small black 3" in reply.text
    entries = [entry for commit in await store.feed(0) for entry in commit.entries if entry.kind == "tool"]
    begun, ended = [json.loads(entry.body) for entry in entries]
    assert not any(entry.public for entry in entries)
    assert (begun["name"], begun["arguments"]) == ("brew", {"cup": {"size": "small"}})
    assert (ended["outcome"], ended["backend"]) == ("done", "inline")


async def the_task_asks_for_approval_and_goes_on(native: Native) -> None:
    agent = native.served(buy)
    assert [each is buy for each in agent.tools] == [True]
    async with serving(agent) as url, codin.connect(url) as peer:
        for answer, said in (("yes", "bought tea"), ("no", "was not approved")):
            asked = await peer.send(order("buy", what="tea"))
            assert asked.task is not None
            assert (asked.task.status.state.name, asked.text) == ("INPUT_REQUIRED", "Really buy tea?")
            done = await peer.send(answer, task_id=asked.task_id)
            assert said in done.text
    assert "there is no task to ask in" in await native.told(native.tool(buy), {"what": "tea"})


async def what_is_called_at_the_same_time_waits_for_the_answer(native: Native) -> None:
    def answer(body: Body) -> ModelAnswer:
        results = [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]
        calls = [("buy", {"what": "tea"}), ("buy", {"what": "milk"}), ("weigh", {"leaves": 1})]
        return ModelAnswer(" | ".join(results)) if results else ModelAnswer("", calls)

    native.model.answer = answer
    async with serving(native.served(buy, weigh)) as url, codin.connect(url) as peer:
        first = await peer.send("go")
        second = await peer.send("yes", task_id=first.task_id)
        done = await peer.send("no", task_id=first.task_id)
    assert {first.text, second.text} == {"Really buy tea?", "Really buy milk?"}
    assert done.text.count("bought") == 1
    assert done.text.count("was not approved") == 1
    assert "grams" in done.text


class Kettle:
    @tool
    async def boil(self, task: Task) -> str:
        """Boils."""
        return f"boiled in {task.context_id}"


async def deep_inside_of_an_agent_it_is_used_in_its_task(native: Native) -> None:
    kettle, store = Kettle(), MemoryStore()
    made = native.tool(kettle.boil)

    @agent_of(tools=[kettle.boil])
    async def host(text: str) -> str:
        """Calls what a framework would call."""
        return await native.told(made, {})

    async with serving(host, store=store) as url, codin.connect(url) as peer:
        reply = await peer.send("go", context_id="tea-time")
    assert "boiled in tea-time" in reply.text
    kinds = [entry.kind for commit in await store.feed(0) for entry in commit.entries]
    assert kinds.count("tool") == 2
    # What takes the task cannot go into a sandbox; whoever runs the agent has the last word.
    async with serving(host, tool_sandbox={"boil": "required"}) as url, codin.connect(url) as peer:
        assert "runs in a sandbox only" in (await peer.send("go")).text


async def an_agent_that_answers_with_messages_uses_it_too(native: Native) -> None:
    made = native.tool(weigh)

    @agent_of(reply="message")
    async def host(text: str) -> str:
        """Calls what a framework would call."""
        return await native.told(made, {"leaves": 2})

    async with serving(host) as url, codin.connect(url) as peer:
        assert json.loads((await peer.send("go")).text) == {"grams": 4}


async def who_lacks_its_scope_has_no_such_tool(native: Native) -> None:
    tokens = BearerTokens({"a-token": Caller("ada", scopes=frozenset({"pay"})), "b-token": Caller("bob")})
    async with serving(native.served(pay), authenticator=tokens) as url:
        for token, said in (("a-token", "paid 5"), ("b-token", "there is no tool 'pay'")):
            async with codin.connect(url, token=token) as peer:
                assert said in (await peer.send(order("pay", amount=5))).text
    assert "there is no tool 'pay'" in await native.told(native.tool(pay), {"amount": 5})


async def a_cancel_ends_it(native: Native) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def soak() -> str:
        """Takes its time."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    desk = Desk(native.served(soak))
    async with asyncio.timeout(30):
        task = await desk.begin("call soak {}")
        await began.wait()
        assert (await desk.cancel(task)).status.state.name == "CANCELED"
        await ended.wait()


async def it_comes_back_as_itself(native: Native) -> None:
    assert tool_of(native.tool(brew)) is brew
    assert tool_of(brew) is brew
    assert list(native.served(brew, weigh).tools) == [brew, weigh]


# -- tools of the framework --------------------------------------------------------------------------------------------


def steep(leaves: int, kind: str = "black") -> str:
    """Steep leaves."""
    if leaves > 9:
        raise ValueError("the pot is full")
    return f"{leaves} leaves of {kind}"


async def steep_slowly(leaves: int) -> str:
    """Steep leaves, and wait."""
    return f"{leaves} leaves"


async def a_tool_of_the_framework_is_one_of_codin(native: Native) -> None:
    made = tool_of(native.made(steep))
    assert isinstance(made, Tool)
    assert (made.name, made.spec.description) == ("steep", "Steep leaves.")
    assert set(made.spec.input_schema["properties"]) == {"leaves", "kind"}
    assert made.spec.input_schema["properties"]["leaves"]["type"] == "integer"
    executor = ToolExecutor([made, tool_of(native.made(steep_slowly))])
    assert await executor.call("steep", {"leaves": 3, "kind": "green"}) == "3 leaves of green"
    assert await executor.call("steep_slowly", {"leaves": 2}) == "2 leaves"
    with pytest.raises(InvalidArguments):
        await executor.call("steep", {"leaves": "three"})
    with pytest.raises(ToolFailed, match="the pot is full"):
        await executor.call("steep", {"leaves": 10, "kind": "black"})


async def an_agent_uses_it_by_its_task(native: Native) -> None:
    @agent_of(tools=[tool_of(native.made(steep))])
    async def pot(leaves: int, task: Task) -> str:
        """Makes tea."""
        return await task.tool("steep", leaves=leaves, kind="black")

    async with serving(pot) as url, codin.connect(url) as peer:
        assert (await peer.send({"leaves": 4})).text == "4 leaves of black"


async def one_that_blocks_holds_up_nobody(native: Native) -> None:
    began, poured = threading.Event(), threading.Event()

    def pour(cups: int) -> str:
        """Pour."""
        began.set()
        return "poured" if poured.wait(20) else "held up"

    executor = ToolExecutor([tool_of(native.made(pour))])
    async with asyncio.timeout(30):
        call = asyncio.create_task(executor.call("pour", {"cups": 1}))
        assert await asyncio.to_thread(began.wait, 20)
        poured.set()
        assert await call == "poured"


async def one_that_takes_the_context_of_a_run_is_refused(native: Native) -> None:
    with pytest.raises(ConfigError, match="is no tool of codin for that"):
        tool_of(native.bound())


async def what_is_no_tool_is_refused(native: Native) -> None:
    for other in (native.agent([]), object(), steep):
        with pytest.raises(ConfigError, match="is no tool"):
            tool_of(other)


_ALL: Sequence[Scenario] = (
    its_name_description_and_schema_are_the_tool_s,
    it_is_called_outside_of_a_task,
    what_does_not_fit_is_said_to_the_model,
    an_error_is_said_to_the_model,
    a_tool_that_streams_gives_its_whole_result,
    a_registry_gives_the_newest_of_each,
    its_use_is_in_the_log_of_the_task,
    the_task_asks_for_approval_and_goes_on,
    what_is_called_at_the_same_time_waits_for_the_answer,
    deep_inside_of_an_agent_it_is_used_in_its_task,
    an_agent_that_answers_with_messages_uses_it_too,
    who_lacks_its_scope_has_no_such_tool,
    a_cancel_ends_it,
    it_comes_back_as_itself,
    a_tool_of_the_framework_is_one_of_codin,
    an_agent_uses_it_by_its_task,
    one_that_blocks_holds_up_nobody,
    one_that_takes_the_context_of_a_run_is_refused,
    what_is_no_tool_is_refused,
)


def scenarios(*, but: Sequence[Scenario] = ()) -> pytest.MarkDecorator:
    """Parametrises a test by `scenario`."""
    chosen = [scenario for scenario in _ALL if scenario not in but]
    return pytest.mark.parametrize("scenario", chosen, ids=lambda scenario: scenario.__name__)
