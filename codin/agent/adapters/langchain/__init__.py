"""Serves a LangChain runnable as an agent, and makes a remote agent a tool of LangChain."""

from codin.agent.adapters.langchain._agent import RunnableAgent, RunnableOptions, adapt
from codin.agent.adapters.langchain._parts import parts
from codin.agent.adapters.langchain._tool import tool

__all__ = ["RunnableAgent", "RunnableOptions", "adapt", "parts", "tool"]
