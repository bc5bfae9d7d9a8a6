"""From an object of CrewAI to an agent."""

from __future__ import annotations

from typing import Any, Unpack, cast

from crewai import Agent, Crew, Flow

from codin.agent.adapters.crewai._crew import CrewAgent
from codin.agent.adapters.crewai._flow import FlowAgent
from codin.agent.adapters.crewai._options import CrewAIOptions
from codin.agent.adapters.crewai._solo import SoloAgent
from codin.errors import ConfigError

__all__ = ["adapt"]


def adapt(obj: object, **options: Unpack[CrewAIOptions]) -> CrewAgent | FlowAgent | SoloAgent:
    """A crew, a flow or a single agent as an agent. Each run has a copy of it; the object itself is never changed.

    Raises:
        ConfigError: this is none of them, or an option names an input that it does not have.
    """
    if isinstance(obj, Crew):
        return CrewAgent(obj, **options)
    if isinstance(obj, Flow):
        return FlowAgent(cast("Flow[Any]", obj), **options)
    if isinstance(obj, Agent):
        return SoloAgent(obj, **options)
    raise ConfigError(f"a {type(obj).__name__} of CrewAI cannot be served", hint="give a Crew, a Flow or an Agent")
