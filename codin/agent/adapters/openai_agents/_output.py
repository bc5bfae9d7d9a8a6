"""What an agent answers with, as far as its `output_type` tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from agents import Agent, AgentOutputSchema, AgentOutputSchemaBase

__all__ = ["is_text", "output_schema"]


def is_text(agent: Agent[Any]) -> bool:
    """Whether the answer is what the model says."""
    kind: Any = agent.output_type
    return kind.is_plain_text() if isinstance(kind, AgentOutputSchemaBase) else kind in (None, str)


def output_schema(agent: Agent[Any]) -> Mapping[str, Any] | None:
    """JSON Schema of the data it answers with; None for text. It describes the value, without the SDK's wrapping."""
    if is_text(agent):
        return None
    kind: Any = agent.output_type
    if isinstance(kind, AgentOutputSchema):
        kind = kind.output_type
    elif isinstance(kind, AgentOutputSchemaBase):
        return kind.json_schema()
    try:
        return TypeAdapter(kind).json_schema(mode="serialization")
    except PydanticUserError:  # a type that JSON Schema cannot say
        return None
