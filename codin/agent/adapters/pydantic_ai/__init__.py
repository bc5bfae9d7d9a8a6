"""Serves a Pydantic AI agent, unchanged, and gives it remote agents and codin's tools as its own."""

from codin.agent.adapters.pydantic_ai._agent import PydanticAIAgent, PydanticAIOptions, adapt
from codin.agent.adapters.pydantic_ai._native_tools import native_tools, tool_of
from codin.agent.adapters.pydantic_ai._remote import tool
from codin.agent.adapters.pydantic_ai._sqlite import SqliteHistory
from codin.agent.adapters.pydantic_ai._tools import parts

__all__ = ["PydanticAIAgent", "PydanticAIOptions", "SqliteHistory", "adapt", "native_tools", "parts", "tool", "tool_of"]
