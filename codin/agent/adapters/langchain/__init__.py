"""Serves a LangChain runnable as an agent, and makes a remote agent, or tools of codin, tools of LangChain."""

from codin.agent.adapters.langchain._agent import RunnableAgent, RunnableOptions, adapt
from codin.agent.adapters.langchain._native_tools import native_tools, tool_of
from codin.agent.adapters.langchain._parts import parts
from codin.agent.adapters.langchain._tool import tool

__all__ = ["RunnableAgent", "RunnableOptions", "adapt", "native_tools", "parts", "tool", "tool_of"]
