"""What is wrong with an input, and what is expected instead, in words a person can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import to_json

__all__ = ["expected", "problem"]

_SHOWN_SCHEMA = 1000  # characters of a JSON Schema that still help a reader


def problem(error: ValidationError) -> str:
    """The first thing that does not fit."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def expected(name: str, schema: Mapping[str, Any] | None, fields: Iterable[str]) -> str:
    """What an agent takes: an object with these fields, or, without any, one value; with its schema if it is short."""
    schema = schema or {}
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    named = ", ".join(f"{field} ({_kind(properties.get(field, {}))})" for field in fields)
    wanted = f"a JSON object with the fields {named}" if named else "a JSON value"
    shown = to_json(schema).decode()
    tail = f" Its schema: {shown}" if len(shown) <= _SHOWN_SCHEMA else ""
    return f"{name} takes {wanted}: send it as a data part, or as JSON text.{tail}"


def _kind(schema: Mapping[str, Any]) -> str:
    if "type" in schema:
        told: str | Sequence[str] = schema["type"]
        return told if isinstance(told, str) else " or ".join(told)
    options = cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", ()))
    return " or ".join(_kind(option) for option in options) or "object" if options or "$ref" in schema else "any"
