"""From an object of CrewAI to an agent, and to what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Unpack, cast

from crewai import Agent, Crew, Flow

from codin.agent.adapters._uses import used_by
from codin.agent.adapters.crewai._crew import CrewAgent
from codin.agent.adapters.crewai._flow import FlowAgent
from codin.agent.adapters.crewai._options import CrewAIOptions
from codin.agent.adapters.crewai._solo import SoloAgent
from codin.errors import ConfigError

__all__ = ["adapt", "parts"]


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


def parts(obj: object) -> Iterator[object]:
    """The agents of a crew, and what a flow uses in its methods, or an agent in its tools."""
    if isinstance(obj, Crew):
        yield from (*obj.agents, *(task.agent for task in obj.tasks), obj.manager_agent)
    elif isinstance(obj, Flow):
        for kind in type(cast("Any", obj)).__mro__:
            if not kind.__module__.startswith(("crewai.", "pydantic.")):
                for method in vars(kind).values():
                    yield from used_by(method)
    elif isinstance(obj, Agent):
        for tool in cast("Sequence[Any]", obj.tools or ()):
            yield from used_by(getattr(tool, "func", None) or getattr(tool, "_run", None))
