"""Serves an agent or a team of Agno, unchanged, and gives it remote agents and codin's tools as its own."""

from codin.agent import _quiet

_quiet.quiet()  # Agno reads it at every run

from codin.agent.adapters.agno._agent import AgnoAgent, AgnoOptions, adapt  # noqa: E402
from codin.agent.adapters.agno._native_tools import native_tools, tool_of  # noqa: E402
from codin.agent.adapters.agno._remote import tool  # noqa: E402
from codin.agent.adapters.agno._tools import parts  # noqa: E402

__all__ = ["AgnoAgent", "AgnoOptions", "adapt", "native_tools", "parts", "tool", "tool_of"]
