"""The tools of a folder as an MCP server over stdio: `python -m codin.agent.adapters.mcp tools --scope pay`."""

from __future__ import annotations

import argparse
import asyncio

from codin.agent.adapters.mcp._serve import ToolServer
from codin.tool import ToolExecutor, ToolRegistry, in_runtime
from codin.trust import Caller


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m codin.agent.adapters.mcp", description=__doc__)
    parser.add_argument("folder", nargs="?", help="with the tools; that of the workspace if not given")
    parser.add_argument("--scope", action="append", default=[], help="which the client has; several may be given")
    given = parser.parse_args()
    registry = ToolRegistry()
    registry.add_folder(given.folder)
    server = ToolServer(ToolExecutor(registry, run=in_runtime()), caller=Caller("local", scopes=frozenset(given.scope)))
    asyncio.run(server.stdio())


if __name__ == "__main__":
    main()
