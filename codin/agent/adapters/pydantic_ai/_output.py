"""What an agent answers with, as far as its `output_type` tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin

from pydantic import PydanticUserError
from pydantic_ai import BinaryImage, DeferredToolRequests, PendingModelResponse
from pydantic_ai.agent import AbstractAgent, WrapperAgent

__all__ = ["Output"]

_NO_DATA = (str, None, NoneType, BinaryImage, DeferredToolRequests, PendingModelResponse)


class Output:
    """The output of an agent.

    Attributes:
        spoken: what the model says is the answer as it stands, so it can be passed on while it comes. Not so when an
            output validator may refuse or change it, or a function makes something else of it.
        schema: JSON Schema of the data; None when there is none.
        modes: media types.
        may_ask: a run may end with tool calls that wait for somebody.
        run_type: the `output_type` that runs need for that; None when the agent's own allows it.
    """

    def __init__(self, agent: AbstractAgent[Any, Any]) -> None:
        kinds = _flat(agent.output_type)
        checked = bool(getattr(_innermost(agent), "_output_validators", ()))
        self.spoken: bool = str in kinds and not checked
        self.schema: Mapping[str, Any] | None = _schema(agent, [kind for kind in kinds if kind not in _NO_DATA])
        text_only = self.schema is not None and self.schema.get("type") == "string"
        if text_only:
            self.schema = None
        modes = [
            *(["text/plain"] if str in kinds or text_only else []),
            *(["application/json"] if self.schema is not None else []),
            *(["image/*"] if BinaryImage in kinds else []),
        ]
        self.modes: Sequence[str] = modes or ("application/json",)
        own = DeferredToolRequests in kinds
        # Pydantic AI lets no run have an output type of its own where validators expect the agent's.
        self.may_ask: bool = own or not checked
        self.run_type: Any = None if own or checked else [agent.output_type, DeferredToolRequests]


def _flat(spec: Any) -> list[Any]:
    """The alternatives of an output type, one by one."""
    if isinstance(spec, Sequence):
        return [kind for item in cast("Sequence[Any]", spec) for kind in _flat(item)]
    return list(get_args(spec)) if get_origin(spec) in (Union, UnionType) else [spec]


def _innermost(agent: AbstractAgent[Any, Any]) -> AbstractAgent[Any, Any]:
    while isinstance(agent, WrapperAgent):
        agent = agent.wrapped
    return agent


def _schema(agent: AbstractAgent[Any, Any], kinds: Sequence[Any]) -> Mapping[str, Any] | None:
    if not kinds:
        return None
    try:
        return agent.output_json_schema(output_type=kinds)
    except PydanticUserError:  # a type that JSON Schema cannot say
        return None
