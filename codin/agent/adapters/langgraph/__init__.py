"""Serves a LangGraph graph as an agent: any compiled graph, unchanged."""

from codin.agent.adapters.langgraph._agent import GraphOptions, LangGraphAgent, adapt

__all__ = ["GraphOptions", "LangGraphAgent", "adapt"]
