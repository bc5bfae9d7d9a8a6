"""Remote agents as tools, and tools that agents share."""

from __future__ import annotations

from typing import Any

import pytest

import codin
from codin.agent import agent
from codin.agent.adapters import agent_tool, share_tools, shared_tools
from codin.agent.adapters._remote import news_of
from codin.client import Peer
from codin.errors import ConfigError, InvalidArguments, ToolFailed, ToolRefused, UnknownTool
from codin.task import Task
from codin.testing import serving
from codin.tool import ToolExecutor, ToolRegistry, tool
from codin.trust import BearerTokens, Caller, Token

pytestmark = pytest.mark.anyio


async def test_an_agent_is_a_tool(peer: Peer) -> None:
    executor = ToolExecutor([agent_tool(peer)])
    assert await executor.call("translator", {"request": "hello"})
    assert "bonjour" in await executor.call("translator", {"request": "data"})
    with pytest.raises(InvalidArguments):
        await executor.call("translator", {"text": "hello"})
    with pytest.raises(ToolRefused, match="not today"):
        await executor.call("translator", {"request": "refuse"})
    with pytest.raises(ToolFailed, match="nobody can be asked here: Formal"):
        await executor.call("translator", {"request": "which"})


async def test_in_a_task_it_asks_the_caller_and_says_what_it_does(url: str) -> None:
    @agent(tools=[agent_tool(url, name="french", description="Says it in French.")])
    async def work(request: str, task: Task) -> str:
        """Have it translated."""
        return await task.tool("french", request=request)

    async with serving(work) as here, codin.connect(here) as mine:
        asked = await mine.send("which")
        assert asked.text == "Formal or familiar?"
        assert (await mine.send("formal", task_id=asked.task_id)).text == "formal: bonjour"
        news = [news_of(event) async for event in mine.stream("hello")]
        assert "looking it up" in news


@tool(scopes=["pay"])
async def pay(amount: float) -> float:
    """Move money."""
    return amount


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@tool(approval=True)
async def burn(what: str) -> str:
    """Burn it."""
    return f"{what} is gone"


REGISTRY = ToolRegistry([pay, shout, burn])
TOKENS = {"ada-ada-ada-ada-ada": Caller("ada", scopes=frozenset({"pay"})), "bob-bob-bob-bob-bob": Caller("bob")}


async def test_shared_tools_are_those_that_the_callers_scopes_allow_there() -> None:
    async with serving(share_tools(REGISTRY), authenticator=BearerTokens(TOKENS)) as url:
        async with codin.connect(url, credential=Token("ada-ada-ada-ada-ada")) as ada:
            theirs = await shared_tools(ada)
            executor = ToolExecutor(theirs)
            assert sorted(each.name for each in theirs) == ["burn", "pay", "shout"]
            assert await executor.call("pay", {"amount": 3}) == 3
            assert await executor.call("shout", {"text": "tea"}) == "TEA"
            with pytest.raises(InvalidArguments):
                await executor.call("shout", {"text": 3})
            assert "pay" not in str(ada.card)
        async with codin.connect(url, credential=Token("bob-bob-bob-bob-bob")) as bob:
            assert sorted(each.name for each in await shared_tools(bob)) == ["burn", "shout"]
            refused = await bob.send({"tool": "pay", "arguments": {"amount": 3}})
            unknown = await bob.send({"tool": "gone", "arguments": {}})
            told: Any = refused.data
            assert told["error"]["code"] == UnknownTool.code
            assert str(told).replace("pay", "gone") == str(unknown.data)


async def test_approval_there_is_asked_here() -> None:
    async with serving(share_tools(REGISTRY)) as url, codin.connect(url) as theirs:
        found = await shared_tools(theirs, only=["burn"])

        @agent(tools=list(found))
        async def work(what: str, task: Task) -> str:
            """Burn something."""
            try:
                return await task.tool("burn", what=what)
            except ToolRefused as error:
                return error.message

        async with serving(work) as here, codin.connect(here) as mine:
            asked = await mine.send("the letter")
            assert "May burn be called with" in asked.text
            assert (await mine.send("yes", task_id=asked.task_id)).text == "the letter is gone"
            asked = await mine.send("the letter")
            refused = await mine.send("no", task_id=asked.task_id)
            assert "was not approved" in refused.text


async def test_what_needs_approval_says_where_it_is_asked_for() -> None:
    async with serving(share_tools(REGISTRY)) as url, codin.connect(url) as theirs:
        executor = ToolExecutor(await shared_tools(theirs, only=["burn"]))
        with pytest.raises(ToolFailed, match="nobody can be asked here: May burn be called") as refused:
            await executor.call("burn", {"what": "tea"})
    assert refused.value.hint == "use it in a task, whose caller is asked"


async def test_an_agent_that_shares_none_says_so(peer: Peer) -> None:
    with pytest.raises(ConfigError, match="shares no tools"):
        await shared_tools(peer)
