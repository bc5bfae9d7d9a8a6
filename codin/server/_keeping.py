"""Whether what agents keep for themselves, and where, goes with the server they are on."""

from __future__ import annotations

import logging

from codin.agent import Agent
from codin.errors import ConfigError

__all__ = ["check_memory", "warn_of_forgetting"]

_logger = logging.getLogger("codin.server")


def check_memory(agent: Agent) -> None:
    """For a server that has no memory to give.

    Raises:
        ConfigError: the agent keeps in it what it cannot work without.
    """
    if getattr(agent, "needs_memory", False):
        raise ConfigError(
            f"{agent.name!r} keeps its own state in the server's memory, and this server has none",
            hint="codin serve --memory sqlite:///memory.db gives it one; in a program, memory= of codin.serve or App",
        )


def warn_of_forgetting(agent: Agent) -> None:
    """For a durable store: what it keeps over a restart is a promise that the agent behind it may not keep."""
    forgets = getattr(agent, "forgets", "")
    if not forgets and not getattr(agent, "durable", True):
        forgets = "what it has asked cannot be answered after a restart"
    if forgets:
        _logger.warning("the task store is durable, but %r keeps its own state in memory: %s", agent.name, forgets)
