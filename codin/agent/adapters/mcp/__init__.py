"""Serves an MCP server's tools as an agent, and agents as the tools of an MCP server."""

from codin.agent.adapters.mcp._agent import McpAgent, McpOptions, adapt, server
from codin.agent.adapters.mcp._expose import expose

__all__ = ["McpAgent", "McpOptions", "adapt", "expose", "server"]
