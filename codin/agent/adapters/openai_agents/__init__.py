"""Serves an agent of the OpenAI Agents SDK, unchanged, and gives a remote agent to it as a tool."""

from codin.agent.adapters.openai_agents._agent import OpenAIAgent, OpenAIAgentsOptions, adapt
from codin.agent.adapters.openai_agents._remote import tool
from codin.agent.adapters.openai_agents._tools import parts

__all__ = ["OpenAIAgent", "OpenAIAgentsOptions", "adapt", "parts", "tool"]
