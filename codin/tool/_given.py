"""What can be given to a tool, as JSON and by the names in its schema, and what is said of what cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import from_json, to_json

from codin.errors import InvalidArguments

__all__ = ["Given", "read", "unfit", "written"]

_JOINTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_INNER = ("items", "additionalProperties", "not", "if", "then", "else")


def written(tool: str, arguments: Mapping[Any, Any]) -> bytes:
    """The arguments of a call as JSON. Raises InvalidArguments."""
    try:
        return to_json(arguments, inf_nan_mode="null")
    except (ValueError, TypeError, RecursionError):
        raise InvalidArguments(f"the arguments of {tool!r} are not JSON", tool=tool) from None


def read(tool: str, body: bytes) -> dict[str, Any]:
    """The arguments that are this JSON. Raises InvalidArguments for a number that is too long, and what is too deep."""
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidArguments(f"the arguments of {tool!r} cannot be read: {error}", tool=tool) from None


def unfit(tool: str, schema: Mapping[str, Any], field: str, reason: str) -> InvalidArguments:
    """The error for arguments that do not fit the schema of a tool."""
    return InvalidArguments(
        f"the arguments of {tool!r} do not fit: {reason}",
        tool=tool,
        field=field,
        hint=f"it takes {', '.join(schema.get('properties', ())) or 'no arguments'}",
    )


class Given:
    """The names of fields, at any depth.

    Attributes:
        names: those that the schema has.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.names: set[str] = set()
        self._open = False
        self._read(schema)

    def has(self, name: str) -> bool:
        """Whether a field can be called so. Where a field takes any names, it can."""
        return self._open or name in self.names

    def _read(self, schema: Any) -> None:
        if not isinstance(schema, dict):
            return
        parts = cast("dict[str, Any]", schema)
        fields: dict[str, Any] = parts.get("properties") or {}
        self.names.update(fields)
        says_what = parts.keys() & {"type", "properties", "$ref", "enum", "const", *_JOINTS}
        free = parts.get("type") == "object" and not fields and parts.get("additionalProperties") is not False
        self._open = self._open or free or not says_what
        held = [parts.get(joint) for joint in _JOINTS]
        for inner in [*fields.values(), *parts.get("$defs", {}).values(), *(parts.get(name) for name in _INNER)]:
            self._read(inner)
        for several in held:
            for inner in several or ():
                self._read(inner)
