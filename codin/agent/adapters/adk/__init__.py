"""Serves a Google ADK agent, workflow, app or runner as an agent, and a remote agent as ADK's own tool or sub-agent."""

from codin.agent.adapters.adk._agent import AdkAgent, AdkOptions, adapt
from codin.agent.adapters.adk._remote import agent, tool
from codin.agent.adapters.adk._tools import parts

__all__ = ["AdkAgent", "AdkOptions", "adapt", "agent", "parts", "tool"]
