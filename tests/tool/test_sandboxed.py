"""Tools in a sandbox: what goes there, what comes back, and what the log says of where it ran."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import codin
from codin.agent import agent
from codin.agent.adapters import share_tools, shared_tools
from codin.errors import ConfigError, ToolFailed, ToolRefused, ToolTimeout
from codin.runtime import OmniRuntime
from codin.task import AgentResponse, Task
from codin.testing import serving
from codin.tool import ToolExecutor, ToolRegistry, ToolSpec, in_runtime, tool

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]


@dataclass
class Book:
    title: str
    pages: int


def halved(number: int) -> int:
    return number // 2


@tool(sandbox="required")
def process(number: int) -> list[int]:
    """Say where it runs."""
    return [os.getpid(), halved(number)]


@tool(sandbox="required")
async def describe(book: Book) -> Book:
    """Make it twice as long."""
    return Book(book.title.upper(), book.pages * 2)


@tool(sandbox="required")
async def count(to: int) -> AsyncIterator[int]:
    """Count."""
    for number in range(to):
        yield number


@tool(sandbox="required")
def look(path: str) -> str:
    """Read a file."""
    return Path(path).read_text(encoding="utf-8")


@tool(sandbox="required", timeout=1)
def hang() -> str:
    """Never end."""
    while True:
        pass


@tool(sandbox="required")
def refuse() -> str:
    """Refuse."""
    raise ToolRefused("not today", tool="refuse", hint="come back on Tuesday")


@tool(sandbox="off")
def here() -> int:
    """Say where it runs."""
    return os.getpid()


@tool(sandbox="preferred")
def with_task(task: Task | None = None) -> int:
    """A sandbox has no task."""
    return os.getpid()


class Counted:
    """A tool of three members, with something of its own."""

    name = "counted"
    spec = ToolSpec("Count.", sandbox="required")

    def __init__(self, start: int) -> None:
        self.start = start

    async def invoke(self) -> list[int]:
        return [os.getpid(), self.start + 1]


executor = ToolExecutor([process, describe, count, look, hang, here, with_task, Counted(41)], run=in_runtime())


async def test_functions_run_elsewhere_with_what_their_file_has() -> None:
    there, half = await executor.call("process", {"number": 84})
    assert (there != os.getpid(), half) == (True, 42)
    assert await executor.call("describe", {"book": {"title": "tea", "pages": 2}}) == {"title": "TEA", "pages": 4}
    assert await executor.call("count", {"to": 3}) == [0, 1, 2]
    there, number = await executor.call("counted")
    assert (there != os.getpid(), number) == (True, 42)


async def test_a_sandboxed_tool_sees_nothing_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("k3y", encoding="utf-8")
    with pytest.raises(ToolFailed, match="FileNotFoundError"):
        await executor.call("look", {"path": str(tmp_path / "secret.txt")})


async def test_a_sandboxed_tool_that_hangs_is_stopped() -> None:
    with pytest.raises(ToolTimeout, match="1 s"):
        await executor.call("hang")


async def test_what_asks_for_the_task_stays_here_unless_a_sandbox_is_required() -> None:
    assert await executor.call("with_task") == os.getpid()
    strict = ToolExecutor([with_task], run=in_runtime(), sandbox={"with_task": "required"})
    with pytest.raises(ToolRefused, match="asks for the task"):
        await strict.call("with_task")


async def test_the_policy_takes_the_place_of_the_tools_own_word() -> None:
    assert await executor.call("here") == os.getpid()
    strict = ToolExecutor([here, process], run=in_runtime(), sandbox={"here": "required", "process": "off"})
    assert await strict.call("here") != os.getpid()
    assert (await strict.call("process", {"number": 2}))[0] == os.getpid()
    wrong: Any = {"here": "never"}
    with pytest.raises(ConfigError, match="never"):
        ToolExecutor([here], sandbox=wrong)


async def test_a_tool_of_an_installed_package_needs_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value, dist = "theirs", "theirs:here", None

        def load(self) -> object:
            return here

    def points(group: str) -> list[Point]:
        return [Point()]

    monkeypatch.setattr("codin.tool._registry.entry_points", points)
    registry = ToolRegistry()
    registry.add_installed()
    assert await ToolExecutor(registry, run=in_runtime()).call("here") != os.getpid()
    with pytest.raises(ToolRefused, match="sandbox"):
        await ToolExecutor(registry).call("here")
    assert await ToolExecutor(registry, sandbox={"here": "off"}).call("here") == os.getpid()


async def test_without_a_sandbox_the_reason_is_told() -> None:
    async with OmniRuntime(["http"]) as runtime:
        with pytest.raises(ToolRefused, match="nothing here can run this function"):
            await ToolExecutor([process], run=in_runtime(runtime)).call("process", {"number": 1})


async def test_a_served_agent_and_one_that_shares_its_tools_give_the_same() -> None:
    @agent(tools=[count])
    async def counts(task: Task) -> AgentResponse:
        """Use it."""
        return AgentResponse.completed(data={"result": await task.tool("count", to=3)})

    async with serving(counts) as url, codin.connect(url) as peer:
        assert (await peer.send("count")).data == {"result": [0, 1, 2]}
    async with serving(share_tools([count, refuse])) as url, codin.connect(url) as peer:
        shared = ToolExecutor(await shared_tools(peer))
        assert await shared.call("count", {"to": 3}) == [0, 1, 2]
        with pytest.raises(ToolRefused, match=r"not today\. Hint: come back on Tuesday"):
            await shared.call("refuse")
