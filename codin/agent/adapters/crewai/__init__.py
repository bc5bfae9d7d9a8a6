"""Serves a CrewAI crew, flow or agent, unchanged, and gives a remote agent to CrewAI as a tool."""

from codin.agent.adapters import _quiet

# CrewAI reads these late, at the latest when something runs. OTEL_SDK_DISABLED, which its documentation also names, is
# not touched: it would end the tracing of everybody in the process.
_quiet.quiet(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_DISABLE_VERSION_CHECK="true")

from codin.agent.adapters.crewai._adapt import adapt  # noqa: E402
from codin.agent.adapters.crewai._crew import CrewAgent  # noqa: E402
from codin.agent.adapters.crewai._flow import FlowAgent  # noqa: E402
from codin.agent.adapters.crewai._options import CrewAIOptions  # noqa: E402
from codin.agent.adapters.crewai._solo import SoloAgent  # noqa: E402
from codin.agent.adapters.crewai._tool import tool  # noqa: E402

__all__ = ["CrewAIOptions", "CrewAgent", "FlowAgent", "SoloAgent", "adapt", "tool"]
