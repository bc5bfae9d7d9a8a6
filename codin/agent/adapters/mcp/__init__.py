"""Serves an MCP server's tools as an agent, and agents and tools as those of an MCP server; uses tools of others."""

from codin.agent.adapters.mcp._agent import McpAgent, McpOptions, adapt, server
from codin.agent.adapters.mcp._expose import expose
from codin.agent.adapters.mcp._serve import ToolServer
from codin.agent.adapters.mcp._tools import McpServerTool, McpTools, mcp_tools

__all__ = [
    "McpAgent",
    "McpOptions",
    "McpServerTool",
    "McpTools",
    "ToolServer",
    "adapt",
    "expose",
    "mcp_tools",
    "server",
]
