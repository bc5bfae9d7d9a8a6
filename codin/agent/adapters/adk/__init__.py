"""Serves a Google ADK agent, workflow, app or runner as an agent, and remote agents and codin's tools as its own."""

from codin.agent.adapters.adk._agent import AdkAgent, AdkOptions, adapt
from codin.agent.adapters.adk._memory import MemoryService
from codin.agent.adapters.adk._native_tools import native_tools, tool_of
from codin.agent.adapters.adk._remote import agent, tool
from codin.agent.adapters.adk._tools import parts

__all__ = ["AdkAgent", "AdkOptions", "MemoryService", "adapt", "agent", "native_tools", "parts", "tool", "tool_of"]
