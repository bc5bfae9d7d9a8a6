"""Tools from an MCP server, and tools for MCP clients: what a stranger's server has is passed on by one's own rules.

    python examples/tools_mcp.py

The stranger's program runs in a sandbox, where it finds neither files nor a network. Whoever calls sees what it may.
"""

import asyncio
import sys

from codin.agent.adapters.mcp import ToolServer, mcp_tools
from codin.errors import UnknownTool
from codin.testing import serving
from codin.tool import ToolExecutor, ToolRegistry, in_runtime, tool
from codin.trust import Caller

STRANGER = """
import os
from mcp.server.fastmcp import FastMCP

server = FastMCP("stranger", log_level="ERROR")

@server.tool()
def hours(minutes: int) -> float:
    "How many hours that is."
    return minutes / 60

@server.tool()
def homes() -> list[str]:
    "Whose homes it finds."
    return os.listdir("/home") if os.path.exists("/home") else []

server.run()
"""


@tool(scopes=["pay"])
async def pay(amount: float) -> str:
    """Pay a bill."""
    return f"{amount} paid"


async def main() -> None:
    async with mcp_tools([sys.executable, "-c", STRANGER]) as theirs:
        executor = ToolExecutor(ToolRegistry([*theirs, pay]), run=in_runtime())
        for scopes in ([], ["pay"]):
            server = ToolServer(executor, caller=Caller("ada", scopes=frozenset(scopes)))
            begun = asyncio.to_thread  # a server in this very program cannot be waited for
            async with serving(server.app()) as url, await begun(mcp_tools, url=f"{url}/mcp") as tools:
                print("there are:", ", ".join(sorted(each.name for each in tools)))
                for name, arguments in (("hours", {"minutes": 90}), ("homes", {}), ("pay", {"amount": 12.5})):
                    try:
                        print(name, await ToolExecutor(tools).call(name, arguments))
                    except UnknownTool as error:
                        print(error.message)


if __name__ == "__main__":
    asyncio.run(main())
