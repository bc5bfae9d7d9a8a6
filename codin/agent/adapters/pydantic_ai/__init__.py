"""Serves a Pydantic AI agent, unchanged, and gives a remote agent to Pydantic AI as a tool."""

from codin.agent.adapters.pydantic_ai._agent import PydanticAIAgent, PydanticAIOptions, adapt
from codin.agent.adapters.pydantic_ai._remote import tool
from codin.agent.adapters.pydantic_ai._sqlite import SqliteHistory

__all__ = ["PydanticAIAgent", "PydanticAIOptions", "SqliteHistory", "adapt", "tool"]
