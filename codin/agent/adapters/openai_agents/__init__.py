"""Serves an agent of the OpenAI Agents SDK, unchanged, and gives it remote agents and codin's tools as its own."""

from codin.agent.adapters.openai_agents._agent import OpenAIAgent, OpenAIAgentsOptions, adapt
from codin.agent.adapters.openai_agents._native_tools import native_tools, tool_of
from codin.agent.adapters.openai_agents._remote import tool
from codin.agent.adapters.openai_agents._tools import parts

__all__ = ["OpenAIAgent", "OpenAIAgentsOptions", "adapt", "native_tools", "parts", "tool", "tool_of"]
