"""The arguments of a tool that tells them as a JSON Schema and not as a type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired, Union, cast

from langchain_core.tools import BaseTool, Tool
from pydantic import BeforeValidator, ConfigDict
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from codin.agent.adapters._questions import object_of

__all__ = ["arguments_schema", "arguments_type"]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": Annotated[int, BeforeValidator(_whole)],  # 3.0 is one, says JSON Schema
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": None,
}


def arguments_schema(step: object) -> Mapping[str, Any] | None:
    """The schema; None when this is no such tool."""
    if isinstance(step, Tool) and step.args_schema is None:  # its type is read from a method that takes anything
        return {"type": "object", "properties": step.args, "required": list(step.args)}
    schema = step.args_schema if isinstance(step, BaseTool) else None
    return schema if isinstance(schema, dict) else None


def arguments_type(schema: Mapping[str, Any]) -> Any:
    """A type that checks names and plain types, strictly, as JSON Schema means them; the rest is the tool's affair."""
    required: Sequence[str] = schema.get("required", ())
    properties = object_of(schema.get("properties"))
    kinds = {name: _kind(object_of(field)) for name, field in properties.items()}
    fields = {name: kind if name in required else NotRequired[kind] for name, kind in kinds.items()}
    made = cast("Any", TypedDict)("Arguments", fields)  # no model: a field may have any name
    made.__pydantic_config__ = ConfigDict(
        strict=True, extra="forbid" if schema.get("additionalProperties") is False else "allow"
    )
    return made


def _kind(field: Mapping[str, Any]) -> Any:
    told = field.get("type", ())
    kinds = [told] if isinstance(told, str) else told
    return Union[tuple(_TYPES.get(kind, Any) for kind in kinds)] if kinds else Any  # noqa: UP007
