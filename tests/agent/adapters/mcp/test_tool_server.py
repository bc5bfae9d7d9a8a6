"""A registry as an MCP server, seen by MCP's own client, and by ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import BaseModel

from codin.agent.adapters.mcp import ToolServer, mcp_tools
from codin.errors import ConfigError
from codin.tool import Tool, ToolExecutor, ToolRegistry, tool
from codin.tool.ready import Python
from codin.trust import BearerTokens, Caller
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

in_a_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")


class Book(BaseModel):
    title: str
    next: Book | None = None


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@tool
async def read(title: str) -> Book:
    """Find a book."""
    return Book(title=title)


@tool
async def count(to: int) -> Any:
    """Count."""
    for number in range(to):
        yield number


@tool(scopes=["pay"])
async def pay(amount: float) -> float:
    """Move money."""
    return amount


@tool(approval=True)
async def burn() -> str:
    """Burn it."""
    return "burnt"


@tool(sandbox="preferred")
async def process() -> int:
    """Say where it runs."""
    return os.getpid()


@tool(sandbox="required")
async def spell(text: str) -> AsyncIterator[str]:
    """Letter by letter."""
    for letter in text:
        yield letter


@tool(sandbox="required")
def numbers(to: int) -> Iterator[int]:
    """Count."""
    yield from range(to)


REGISTRY = ToolRegistry([shout, read, count, pay, burn])
TOKENS = {"ada-ada-ada-ada-ada": Caller("ada", scopes=frozenset({"pay"})), "bob-bob-bob-bob-bob": Caller("bob")}


@asynccontextmanager
async def client_of(url: str, token: str) -> AsyncGenerator[ClientSession]:
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"} if token else {}, trust_env=False) as http,
        streamable_http_client(f"{url}/mcp", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


async def test_each_caller_has_what_its_scopes_allow() -> None:
    async with listening(ToolServer(REGISTRY).app(BearerTokens(TOKENS))) as served:
        async with (
            client_of(served.url, "ada-ada-ada-ada-ada") as ada,
            client_of(served.url, "bob-bob-bob-bob-bob") as bob,
        ):
            assert "pay" in [each.name for each in (await ada.list_tools()).tools]
            assert "pay" not in [each.name for each in (await bob.list_tools()).tools]
            assert (await ada.call_tool("pay", {"amount": 2})).structuredContent == {"result": 2.0}
            refused = await bob.call_tool("pay", {"amount": 2})
            unknown = await bob.call_tool("gone", {"amount": 2})
            assert refused.isError
            assert refused.content[0].text.replace("pay", "gone") == unknown.content[0].text  # type: ignore[union-attr]
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{served.url}/mcp", json={}, headers={"Authorization": "Bearer wrong"})
            assert answer.status_code == 401
            assert "Bearer" in answer.headers["www-authenticate"]


async def test_mcps_own_client_uses_it() -> None:
    told: list[tuple[float, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with (
        listening(ToolServer(REGISTRY, instructions="Good tools.").app()) as served,
        client_of(served.url, "") as session,
    ):
        tools = {each.name: each for each in (await session.list_tools()).tools}
        assert set(tools) == {"shout", "read", "count", "burn"}
        assert tools["shout"].outputSchema is None
        result = await session.call_tool("shout", {"text": "tea"})
        assert result.content[0].text == "TEA"  # type: ignore[union-attr]
        assert (await session.call_tool("read", {"title": "Tea"})).structuredContent == {
            "result": {"title": "Tea", "next": None}
        }
        counted = await session.call_tool("count", {"to": 2}, progress_callback=tell)
        assert counted.content[0].text == "[0,1]"  # type: ignore[union-attr]
        assert told == [(1, "0"), (2, "1")]
        wrong = await session.call_tool("shout", {"text": 3})
        assert wrong.isError
        assert "text: Input should be a valid string" in wrong.content[0].text  # type: ignore[union-attr]
        assert (await session.call_tool("burn")).isError  # nobody can be asked


@tool
async def unhinted(value: Any):  # type: ignore[no-untyped-def]
    """As it is."""
    return value


async def test_what_does_not_say_its_result_gives_text() -> None:
    async with client_of_all(unhinted) as session:
        for value, text in (("tea", "tea"), (1, "1"), ([1], "[1]"), ({"a": 1}, '{"a":1}')):
            result = await session.call_tool("unhinted", {"value": value})
            assert (result.content[0].text, result.structuredContent) == (text, None)  # type: ignore[union-attr]


@asynccontextmanager
async def client_of_all(*tools: Tool) -> AsyncGenerator[ClientSession]:
    async with listening(ToolServer(tools).app()) as served, client_of(served.url, "") as session:
        yield session


@in_a_sandbox
async def test_what_asks_for_a_sandbox_has_one() -> None:
    async with client_of_all(Python(), process) as session:
        done = await session.call_tool("python", {"code": "import os; print(os.getpid())"})
        assert done.structuredContent is not None
        assert (done.structuredContent["ok"], done.structuredContent["stdout"] == f"{os.getpid()}\n") == (True, False)
        where = await session.call_tool("process")
        assert where.structuredContent is not None
        assert where.structuredContent["result"] != os.getpid()


async def test_what_needs_a_sandbox_is_refused_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(
        "import asyncio, os\n"
        "from codin.agent.adapters.mcp import ToolServer\n"
        "from codin.tool import tool\n"
        "def process() -> int:\n"
        "    return os.getpid()\n"
        "tools = [tool(name=word, sandbox=word)(process) for word in ('off', 'preferred', 'required')]\n"
        "asyncio.run(ToolServer(tools).stdio())\n"
    )
    nothing = {"PATH": "", "DOCKER_HOST": "unix:///nowhere.sock"}  # neither bubblewrap nor Docker
    program = StdioServerParameters(command=sys.executable, args=[str(tmp_path / "serve.py")], env=nothing)
    async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for name in ("off", "preferred"):
            assert not (await session.call_tool(name)).isError
        refused = await session.call_tool("required")
        assert refused.isError
        said = str(refused.content[0].text)  # type: ignore[union-attr]
        assert said.startswith("'required' runs in a sandbox only, and there is none here: nothing here can run this")
        assert "there is no `bwrap`" in said


@in_a_sandbox
async def test_a_sandboxed_tool_tells_its_pieces_as_progress() -> None:
    told: list[tuple[float, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with client_of_all(spell, numbers) as session:
        spelled = await session.call_tool("spell", {"text": "tea"}, progress_callback=tell)
        assert spelled.content[0].text == "tea"  # type: ignore[union-attr]
        assert told == [(1, "t"), (2, "e"), (3, "a")]
        told.clear()
        counted = await session.call_tool("numbers", {"to": 2}, progress_callback=tell)
        assert counted.structuredContent == {"result": [0, 1]}
        assert told == [(1, "0"), (2, "1")]
        assert (await session.call_tool("numbers", {"to": 2})).structuredContent == {"result": [0, 1]}


async def test_ours_uses_it() -> None:
    async with listening(ToolServer(REGISTRY).app(BearerTokens(TOKENS))) as served:
        with pytest.raises(ConfigError):
            await asyncio.to_thread(lambda: mcp_tools(url=f"{served.url}/mcp"))
        headers = {"Authorization": "Bearer ada-ada-ada-ada-ada"}
        async with await asyncio.to_thread(lambda: mcp_tools(url=f"{served.url}/mcp", headers=headers)) as tools:
            executor = ToolExecutor(tools)
            assert await executor.call("pay", {"amount": 3}) == {"result": 3.0}
            assert await executor.call("read", {"title": "Tea"}) == {"result": {"title": "Tea", "next": None}}


async def test_a_folder_is_served_over_stdio(tmp_path: Path) -> None:
    (tmp_path / "money.py").write_text(
        "from codin.tool import tool\n\n@tool(scopes=['pay'])\ndef pay(amount: float) -> float:\n    return amount\n"
        "\n@tool\ndef shout(text: str) -> str:\n    return text.upper()\n"
    )
    for scopes, names in (([], ["shout"]), (["--scope", "pay"], ["pay", "shout"])):
        words = ["-m", "codin.agent.adapters.mcp", str(tmp_path), *scopes]
        program = StdioServerParameters(command=sys.executable, args=words)
        async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            assert [each.name for each in (await session.list_tools()).tools] == names
            assert (await session.call_tool("shout", {"text": "tea"})).content[0].text == "TEA"  # type: ignore[union-attr]


NOISY = """
import asyncio, os, subprocess, sys
from codin.agent.adapters.mcp import ToolServer
from codin.tool import tool
kept = sys.stdout
@tool
def noise() -> str:
    kept.write("kept ")
    print("printed")
    os.write(1, b"written ")
    subprocess.run([sys.executable, "-c", "print('by a program', end='')"])
    return "quiet"
@tool
def listen() -> str:
    return subprocess.run([sys.executable, "-c", "input()"], stderr=subprocess.PIPE).stderr.decode() + sys.stdin.read()
asyncio.run(ToolServer([noise, listen]).stdio())
"""


async def test_what_a_tool_and_its_programs_print_and_read_is_not_the_protocols() -> None:
    program = StdioServerParameters(command=sys.executable, args=["-c", NOISY])
    with tempfile.TemporaryFile("w+") as aside:
        async with asyncio.timeout(60), stdio_client(program, aside) as streams, ClientSession(*streams) as session:
            await session.initialize()
            assert (await session.call_tool("noise")).content[0].text == "quiet"  # type: ignore[union-attr]
            assert "EOFError" in (await session.call_tool("listen")).content[0].text  # type: ignore[union-attr]
            assert (await session.call_tool("noise")).content[0].text == "quiet"  # type: ignore[union-attr]
        aside.seek(0)
        said = aside.read()
    assert [said.count(word) for word in ("kept", "printed", "written", "by a program")] == [2, 2, 2, 2]


async def test_what_is_printed_afterwards_is_printed_as_ever() -> None:
    words = [sys.executable, "-c", f"{NOISY}print('done')"]
    ended = await asyncio.to_thread(
        lambda: subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    )
    assert ended.stdout == b"done\n"
