"""A LangGraph graph as an agent, unchanged; and a remote agent as a node or tool of a graph."""

from codin.agent.adapters.langgraph._agent import GraphOptions, LangGraphAgent, adapt
from codin.agent.adapters.langgraph._peer import PeerFailed, node, tool
from codin.agent.adapters.langgraph._tools import parts

__all__ = ["GraphOptions", "LangGraphAgent", "PeerFailed", "adapt", "node", "parts", "tool"]
