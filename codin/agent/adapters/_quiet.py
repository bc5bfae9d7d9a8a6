"""Keeps a framework quiet: what it would send or print unless the environment says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["CREWAI", "quiet"]

CREWAI: Mapping[str, str] = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
}
"""For CrewAI, whose telemetry starts, with signal handlers and a thread, as soon as it is imported: best set before the
user's own module is. OTEL_SDK_DISABLED, which its documentation names too, would end everybody's tracing."""


def quiet(**variables: str) -> None:
    """Set environment variables before a framework is imported; what the user has set stays."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
