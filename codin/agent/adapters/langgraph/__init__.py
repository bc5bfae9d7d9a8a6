"""A LangGraph graph as an agent, unchanged; and a remote agent as a node or tool of a graph."""

from codin.agent.adapters.langchain._native_tools import native_tools, tool_of
from codin.agent.adapters.langgraph._agent import GraphOptions, LangGraphAgent, adapt
from codin.agent.adapters.langgraph._peer import PeerFailed, node, tool
from codin.agent.adapters.langgraph._saver import CodinSaver
from codin.agent.adapters.langgraph._store import CodinStore
from codin.agent.adapters.langgraph._tools import parts

__all__ = [
    "CodinSaver",
    "CodinStore",
    "GraphOptions",
    "LangGraphAgent",
    "PeerFailed",
    "adapt",
    "native_tools",
    "node",
    "parts",
    "tool",
    "tool_of",
]
