"""Keeps frameworks from sending and printing, unless the environment says otherwise."""

from __future__ import annotations

import os

__all__ = ["quiet"]

# OTEL_SDK_DISABLED, which CrewAI's documentation names too, would end everybody's tracing.
_QUIET = {
    "AGNO_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "PYDANTIC_AI_NO_BANNER": "1",
}


def quiet() -> None:
    """Set the frameworks' environment variables; what the user has set stays.

    Called before an adapter imports its framework, and by the command line before it imports the user's file: CrewAI's
    telemetry starts, with signal handlers and a thread, as soon as it is imported.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
