"""JSON Schema as a person would say it. It may come from a peer, so nothing about its form is taken for granted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

__all__ = ["Field", "fields_of", "kind_of", "mapping"]

_DEEPEST = 4  # what lies deeper, or refers to itself, is "…"


class Field(NamedTuple):
    """One field of the data that a schema describes."""

    name: str
    kind: str
    required: bool
    description: str


def fields_of(schema: Any) -> list[Field]:
    """The fields of an object; none for everything else."""
    return list(_fields(mapping(schema)))


def kind_of(schema: Any) -> str:
    """A few words for the values that fit: `integer`, `list of string`, `one of: red, blue`."""
    return _kind(schema, mapping(schema), 0)


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _fields(root: dict[str, Any]) -> Iterator[Field]:
    schema = _resolved(root, root)
    required = _sequence(schema.get("required"))
    for name, field in mapping(schema.get("properties")).items():
        said = mapping(field).get("description") or _resolved(field, root).get("description")
        description = said if isinstance(said, str) else ""
        if (default := mapping(field).get("default")) is not None:
            description = f"{description} (default {_json(default)})".strip()
        yield Field(name, _kind(field, root, 0), name in required, " ".join(description.split()))


def _kind(given: Any, root: dict[str, Any], depth: int) -> str:
    schema = _resolved(given, root)
    if depth > _DEEPEST:
        return "…"
    if choices := _sequence(schema.get("enum")):
        return f"one of: {', '.join(map(_json, choices))}"
    if "const" in schema:
        return _json(schema["const"])
    if several := _sequence(schema.get("anyOf") or schema.get("oneOf")):
        return " or ".join(dict.fromkeys(_kind(each, root, depth + 1) for each in several))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(_of_type(str(each), schema, root, depth) for each in _sequence(kind))
    return _of_type(str(kind or "anything"), schema, root, depth)


def _of_type(kind: str, schema: dict[str, Any], root: dict[str, Any], depth: int) -> str:
    if kind == "array":
        items = schema.get("items")
        return f"list of {_kind(items, root, depth + 1)}" if items else "list"
    if kind == "object":
        names = ", ".join(mapping(schema.get("properties")))
        return f"object ({names})" if names else "object"
    form = schema.get("format")
    return f"{kind} ({form})" if isinstance(form, str) else kind


def _resolved(given: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The schema that is meant, when this one only refers to it."""
    schema = mapping(given)
    for _ in range(_DEEPEST):
        whole = _sequence(schema.get("allOf"))
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            schema = mapping(mapping(root.get("$defs")).get(reference.removeprefix("#/$defs/")))
        elif len(whole) == 1:
            schema = mapping(whole[0])
    return schema


def _sequence(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
