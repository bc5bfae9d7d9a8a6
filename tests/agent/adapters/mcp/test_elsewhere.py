"""MCP servers that are other programs, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin.agent.adapters.mcp import McpAgent, server
from codin.errors import ConfigError
from codin.sandbox import Mount, Policy
from codin.tool import Sandboxing
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.mcp.kit import PNG
from tests.agent.adapters.mcp.programs import ROOT, command, free_port, serving

pytestmark = pytest.mark.anyio


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments}


@pytest.fixture
async def stdio(anyio_backend: str) -> AsyncIterator[McpAgent]:
    agent = server(command("kit"), cwd=ROOT)
    yield agent
    await agent.close()


@pytest.fixture
async def sandboxed(anyio_backend: str) -> AsyncIterator[McpAgent]:
    policy = Policy(mounts=(Mount(source=ROOT),), env={"PYTHONPATH": str(ROOT)})
    agent = server(command("kit"), sandbox="required", policy=policy)
    yield agent
    await agent.close()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[McpAgent]:
    port = free_port()
    with serving("kit", port):
        agent = server(f"http://127.0.0.1:{port}/mcp", headers={"X-Test": "1"})
        yield agent
        await agent.close()


@pytest.fixture(params=["stdio", "sandboxed", "http"])
def agent(request: pytest.FixtureRequest) -> McpAgent:
    return request.getfixturevalue(request.param)


async def test_tools_are_called_and_told_on_the_card(agent: McpAgent) -> None:
    assert (agent.name, agent.description) == ("kit", "A bit of everything.")
    assert "add" in [skill.id for skill in agent.skills]
    desk = Desk(agent)
    turn = await desk.send(call("add", a=1, b=2))
    assert (turn.text, turn.data) == ("3", {"result": 3})
    assert (await desk.send("hello")).text == "HELLO"
    turn = await desk.send(call("count", to=2))
    assert [text for text, _ in turn.news] == ["1 of 2", "at 2"]
    assert (await desk.send(call("picture", kind=1))).task.artifacts[0].parts[0].raw == PNG


async def test_many_calls_share_one_session(agent: McpAgent) -> None:
    desk = Desk(agent)
    turns = await asyncio.gather(*(desk.send(call("add", a=number, b=1)) for number in range(20)))
    assert [turn.data["result"] for turn in turns] == [number + 1 for number in range(20)]


async def test_it_may_ask_while_others_are_served(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("measure", what=7))
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "How big is 7?")
    assert (await desk.send(call("add", a=1, b=2))).text == "3"
    second = await desk.send(call("measure", what=8))  # the first one's question is known, so this must be the other's
    assert second.said == "How big is 8?"
    assert (await desk.send("80", task=second.task)).text == "8 is 80"
    assert (await desk.send("70", task=asked.task)).text == "7 is 70"


async def test_a_question_that_may_be_of_two_callers_is_put_to_neither(agent: McpAgent) -> None:
    desk = Desk(agent)
    waiting = await desk.begin(call("hang", seconds=1000))
    turn = await desk.send(call("measure", what=7))
    assert turn.state == "FAILED"
    assert "not clear which" in turn.said
    await desk.cancel(waiting)
    assert (await desk.send(call("measure", what=7))).state == "INPUT_REQUIRED"


async def test_cancel_leaves_the_session_as_it_was(agent: McpAgent) -> None:
    desk = Desk(agent)
    async with asyncio.timeout(30):
        task = await desk.begin(call("hang", seconds=1000))
        assert (await desk.cancel(task)).status.state.name == "CANCELED"
        assert (await desk.send(call("add", a=1, b=2))).text == "3"


async def test_a_program_that_dies_is_started_again(stdio: McpAgent) -> None:
    desk = Desk(stdio)
    async with asyncio.timeout(150):
        for _ in range(2):
            turn = await desk.send(call("die", code=3))
            assert (turn.state, turn.said) == ("FAILED", "The MCP server went away before it answered.")
            assert (await desk.send(call("add", a=1, b=2))).text == "3"


async def test_a_server_that_comes_back_knows_no_session_and_is_asked_anew() -> None:
    port = free_port()
    async with asyncio.timeout(150):
        with serving("kit", port):
            agent = server(f"http://127.0.0.1:{port}/mcp")
            desk = Desk(agent)
            assert (await desk.send(call("add", a=1, b=2))).text == "3"
        turn = await desk.send(call("add", a=1, b=2))
        assert turn.state == "FAILED"
        assert "MCP server" in turn.said
        with serving("kit", port):
            assert (await desk.send(call("add", a=1, b=2))).text == "3"
            await agent.close()


async def test_a_server_that_was_replaced_meanwhile_is_not_noticed_by_the_caller() -> None:
    port = free_port()
    async with asyncio.timeout(150):
        with serving("kit", port):
            agent = server(f"http://127.0.0.1:{port}/mcp")
            desk = Desk(agent)
            assert (await desk.send(call("add", a=1, b=2))).text == "3"
        with serving("kit", port):
            assert (await desk.send(call("add", a=2, b=2))).text == "4"
            await agent.close()


async def test_a_server_that_dies_in_a_call_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.agent.adapters.mcp._session._PING", 0.2)
    port = free_port()
    async with asyncio.timeout(150):
        with serving("kit", port) as process:
            agent = server(f"http://127.0.0.1:{port}/mcp")
            desk = Desk(agent)
            await desk.send(call("add", a=1, b=2))
            waiting = asyncio.create_task(desk.send(call("hang", seconds=1000)))
            await desk.send(call("add", a=1, b=2))  # the other call has been sent before
            process.kill()
            turn = await waiting
        assert (turn.state, turn.said) == ("FAILED", "The MCP server went away before it answered.")


def test_what_cannot_be_asked_for_its_tools_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="no-such-program"):
        server("no-such-program --fast")
    with pytest.raises(ConfigError, match="attempts failed"):
        server(f"http://127.0.0.1:{free_port()}/mcp")
    with pytest.raises(ConfigError, match="no command"):
        server("")


async def test_the_environment_is_what_is_given(tmp_path: Path) -> None:
    program = tmp_path / "env.py"
    program.write_text(
        "import os\n"
        "from mcp.server.fastmcp import FastMCP\n"
        "server = FastMCP('env', log_level='ERROR')\n"
        "@server.tool()\n"
        "def read(name: str) -> str:\n"
        "    return os.environ.get(name, 'unset')\n"
        "server.run()\n",
        encoding="utf-8",
    )
    os.environ["NOT_FOR_OTHERS"] = "secret"
    try:
        agent = server(f"{sys.executable} {program}", env={"GIVEN": "yes"})
        desk = Desk(agent)
        assert (await desk.send("GIVEN")).text == "yes"
        assert (await desk.send("NOT_FOR_OTHERS")).text == "unset"
        await agent.close()
    finally:
        del os.environ["NOT_FOR_OTHERS"]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
async def test_a_sandboxed_server_sees_nothing_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("k3y", encoding="utf-8")
    program = (
        "import os\n"
        "from mcp.server.fastmcp import FastMCP\n"
        "server = FastMCP('look', log_level='ERROR')\n"
        "@server.tool()\n"
        "def there(path: str) -> bool:\n"
        "    return os.path.exists(path)\n"
        "server.run()\n"
    )
    words: tuple[Sandboxing, ...] = ("off", "preferred", "required")
    for sandbox in words:
        agent = server([sys.executable, "-c", program], sandbox=sandbox)
        turn = await Desk(agent).send(str(tmp_path / "secret.txt"))
        assert turn.data == {"result": sandbox == "off"}
        await agent.close()


def test_a_server_that_has_to_be_in_a_sandbox_is_in_none_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # no bubblewrap
    with pytest.raises(ConfigError, match="cannot be asked for its tools"):
        server(command("kit"), sandbox="required")
    wrong: Any = "maybe"
    with pytest.raises(ConfigError, match="maybe"):
        server(command("kit"), sandbox=wrong)
