"""Serves a Pydantic AI agent, unchanged, and gives a remote agent to Pydantic AI as a tool."""

from codin.agent.adapters.pydantic_ai._agent import PydanticAIAgent, PydanticAIOptions, adapt
from codin.agent.adapters.pydantic_ai._remote import tool
from codin.agent.adapters.pydantic_ai._sqlite import SqliteHistory
from codin.agent.adapters.pydantic_ai._tools import parts

__all__ = ["PydanticAIAgent", "PydanticAIOptions", "SqliteHistory", "adapt", "parts", "tool"]
