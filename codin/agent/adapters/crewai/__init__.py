"""Serves a CrewAI crew, flow or agent, unchanged, and gives it remote agents and codin's tools as its own."""

from codin.agent import _quiet

# Before CrewAI is imported. Had it been, by the user's module, it sends nothing from here on.
_quiet.quiet()

from codin.agent.adapters.crewai._adapt import adapt, parts  # noqa: E402
from codin.agent.adapters.crewai._crew import CrewAgent  # noqa: E402
from codin.agent.adapters.crewai._flow import FlowAgent  # noqa: E402
from codin.agent.adapters.crewai._memory import CodinStorage  # noqa: E402
from codin.agent.adapters.crewai._options import CrewAIOptions  # noqa: E402
from codin.agent.adapters.crewai._solo import SoloAgent  # noqa: E402
from codin.agent.adapters.crewai._tool import tool  # noqa: E402
from codin.agent.adapters.crewai._tools import native_tools, tool_of  # noqa: E402

__all__ = [
    "CodinStorage",
    "CrewAIOptions",
    "CrewAgent",
    "FlowAgent",
    "SoloAgent",
    "adapt",
    "native_tools",
    "parts",
    "tool",
    "tool_of",
]
