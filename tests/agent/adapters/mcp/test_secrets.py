"""What an MCP server is shown so that it lets us in stands in no error and no log."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import traceback
from typing import Any

import pytest
from mcp.server.fastmcp import Context
from starlette.responses import PlainTextResponse

from codin.agent.adapters.mcp import McpTools, mcp_tools, server
from codin.errors import ConfigError, ToolFailed
from codin.tool import ToolExecutor
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.mcp.kit import unlogged
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-and-long"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Key": f"{SECRET}-2"}
ENV = {"SERVICE_TOKEN": SECRET, "DATABASE": f"pg://ada:{SECRET}-3@db/1", "MODE": "thorough"}

PROGRAM = """
import os, sys
from mcp.server.fastmcp import FastMCP
server = FastMCP("env")
@server.tool()
def tell() -> str:
    print(os.environ["SERVICE_TOKEN"], file=sys.stderr)
    raise ValueError(f"{os.environ['SERVICE_TOKEN']} is wrong at {os.environ['DATABASE']} in mode {os.environ['MODE']}")
server.run()
"""


@pytest.fixture(autouse=True)
def whole_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "codin")


def seen(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that anybody could be shown."""
    ours = [record for record in caplog.records if record.name.startswith("codin")]
    logged = [logging.Formatter().format(record) for record in ours]
    return "\n".join([*traceback.format_exception(error), repr(error), *logged])


async def failed(tools: McpTools) -> ToolFailed:
    async with tools:
        assert SECRET not in repr([tools, *tools, *(vars(tool) for tool in tools)])
        with pytest.raises(ToolFailed) as told:
            await ToolExecutor(tools).call("tell", {})
    return told.value


async def test_of_headers_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    echo = unlogged("echo")

    async def tell(context: Context[Any, Any, Any]) -> str:
        """Complain about what it was shown."""
        request: Any = context.request_context.request
        headers = request.headers
        raise ValueError(f"no such key: {headers['authorization']}, {headers['x-key']}")

    echo.add_tool(tell)
    async with listening(echo.streamable_http_app()) as here:
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp", headers=HEADERS))
        error = await failed(tools)
        served = await asyncio.to_thread(lambda: server(f"{here.url}/mcp", headers=HEADERS))
        turn = await Desk(served).send({"tool": "tell", "arguments": {}})
        await served.close()
    assert turn.state == "FAILED"
    assert "no such key: ***, ***" in error.message
    assert "no such key: ***, ***" in turn.said
    assert SECRET not in seen(error, caplog)


@pytest.mark.parametrize(
    "sandbox", ["off", pytest.param("required", marks=pytest.mark.skipif(not shutil.which("bwrap"), reason="no bwrap"))]
)
async def test_of_an_environment_no_secret_is_told(sandbox: str, caplog: pytest.LogCaptureFixture) -> None:
    error = await failed(mcp_tools([sys.executable, "-c", PROGRAM], env=ENV, sandbox=sandbox))  # type: ignore[arg-type]
    assert "*** is wrong at *** in mode thorough" in error.message
    assert SECRET not in seen(error, caplog)


@pytest.mark.skipif(not shutil.which("bwrap"), reason="no bwrap")
async def test_the_last_words_of_a_program_are_told_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    program = "import os, sys; sys.exit('bad token: ' + os.environ['SERVICE_TOKEN'])"
    with pytest.raises(ConfigError, match=r"bad token: \*\*\*") as told:
        async with mcp_tools([sys.executable, "-c", program], env=ENV):
            pytest.fail("it is no server")
    assert SECRET not in seen(told.value, caplog)


async def test_of_a_url_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(PlainTextResponse("no", 401)) as here:
        place = here.url.removeprefix("http://")
        url = f"http://ada:{SECRET}@{place}/mcp?key={SECRET}-2"
        for make in (lambda: mcp_tools(url=url), lambda: server(url)):
            with pytest.raises(ConfigError, match=rf"'http://{place}/mcp\?…' cannot be asked .* 401") as told:
                await asyncio.to_thread(make)
            assert SECRET not in seen(told.value, caplog)


async def test_of_a_server_that_has_gone_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    kit = unlogged("kit")
    kit.add_tool(lambda: "here", name="tell", description="Tell.")
    async with listening(kit.streamable_http_app()) as here:
        url = f"{here.url}/mcp?key={SECRET}"
        tools = await asyncio.to_thread(lambda: mcp_tools(url=url, headers=HEADERS))
    error = await failed(tools)
    assert SECRET not in seen(error, caplog)
