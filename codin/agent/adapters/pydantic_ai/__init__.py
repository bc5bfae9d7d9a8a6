"""Serves a Pydantic AI agent, unchanged, and gives a remote agent to Pydantic AI as a tool."""

from codin.agent.adapters.pydantic_ai._agent import PydanticAIAgent, PydanticAIOptions, adapt
from codin.agent.adapters.pydantic_ai._history import History, MemoryHistory, SqliteHistory
from codin.agent.adapters.pydantic_ai._remote import tool

__all__ = ["History", "MemoryHistory", "PydanticAIAgent", "PydanticAIOptions", "SqliteHistory", "adapt", "tool"]
