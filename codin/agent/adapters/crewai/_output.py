"""What CrewAI returns, as the answer of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewai import CrewOutput, TaskOutput
from crewai.flow.human_feedback import HumanFeedbackResult
from crewai.lite_agent_output import LiteAgentOutput
from pydantic import BaseModel

from codin.agent.adapters._questions import json_value
from codin.agent.adapters.crewai._relay import Relay
from codin.task import AgentResponse

__all__ = ["answer_of", "schema_of"]


async def answer_of(result: Any, relay: Relay) -> AgentResponse:
    """The response: data for what has a structure, text for the rest."""
    if isinstance(result, HumanFeedbackResult):
        result = result.output
    if isinstance(result, CrewOutput | TaskOutput | LiteAgentOutput):
        result = _structured(result) or result.raw
    if isinstance(result, str):
        await relay.finish(result)
        return AgentResponse.completed()
    return AgentResponse.completed(data=json_value(result))


def _structured(output: CrewOutput | TaskOutput | LiteAgentOutput) -> Any:
    return output.pydantic or getattr(output, "json_dict", None)


def schema_of(model: type[BaseModel] | None) -> Mapping[str, Any] | None:
    """JSON Schema of a structured answer."""
    return None if model is None else model.model_json_schema()
