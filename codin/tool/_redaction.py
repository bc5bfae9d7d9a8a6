"""Arguments as a log, a question or an error may show them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

__all__ = ["Redaction"]

HIDDEN = "***"
_JOINTS = ("allOf", "anyOf", "oneOf", "if", "then", "else")
_FOLLOWED = 32  # schemas looked at for one value: references may lead in a circle


class Redaction:
    """Knows the secrets among the arguments of one tool: by name, and by what the schema says of their place."""

    def __init__(self, schema: Mapping[str, Any], names: Collection[str]) -> None:
        self._schema = schema
        self._names = names
        text = json.dumps(schema, default=str)
        self.needed: bool = bool(names) or '"password"' in text or '"writeOnly"' in text

    def shown(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments without their secrets."""
        return self._shown(arguments, [self._schema]) if self.needed else arguments

    def clean(self, text: str, arguments: Mapping[str, Any]) -> str:
        """A text without the values that are secret in these arguments."""
        for secret in sorted(_hidden(arguments, self.shown(arguments)), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def _shown(self, value: Any, schemas: Sequence[Mapping[str, Any]]) -> Any:
        """A value, of whose place these schemas speak."""
        schemas = list(self._all(schemas))
        if any(schema.get("format") == "password" or schema.get("writeOnly") is True for schema in schemas):
            return HIDDEN
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {
                name: HIDDEN if name in self._names else self._shown(each, list(_of_field(schemas, name)))
                for name, each in fields.items()
            }
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self._shown(each, list(_of_item(schemas, index))) for index, each in enumerate(items)]
        return value

    def _all(self, schemas: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The schemas with those that they are put together from. One that any of them hides is hidden."""
        waiting = list(schemas)
        for _ in range(_FOLLOWED):
            if not waiting:
                return
            schema = waiting.pop()
            yield schema
            if isinstance(target := schema.get("$ref", schema.get("$dynamicRef")), str):
                waiting += _mappings([self._at(target)])
            for joint in _JOINTS:
                parts: Any = schema.get(joint)
                waiting += _mappings(cast("list[Any]", parts) if isinstance(parts, list) else [parts])

    def _at(self, reference: str) -> Any:
        """What a reference inside of the schema leads to."""
        found: Any = self._schema
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
        return found


def _of_field(schemas: Sequence[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    for schema in schemas:
        fields = schema.get("properties")
        if isinstance(fields, Mapping) and name in fields:
            yield from _mappings([cast("Mapping[str, Any]", fields)[name]])
        else:
            others = schema.get("patternProperties")
            more = list(cast("Mapping[str, Any]", others).values()) if isinstance(others, Mapping) else []
            yield from _mappings([*more, schema.get("additionalProperties")])


def _of_item(schemas: Sequence[Mapping[str, Any]], index: int) -> Iterator[Mapping[str, Any]]:
    for schema in schemas:
        first = schema.get("prefixItems")
        placed = cast("list[Any]", first) if isinstance(first, list) else []
        yield from _mappings([placed[index] if index < len(placed) else schema.get("items")])


def _mappings(values: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [cast("Mapping[str, Any]", value) for value in values if isinstance(value, Mapping)]


def _hidden(value: Any, shown: Any) -> Iterator[str]:
    """The texts and numbers that stand in a value, and not in what is shown of it."""
    if isinstance(shown, dict) and isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _hidden(each, cast("dict[str, Any]", shown)[name])
    elif isinstance(shown, list) and isinstance(value, list):
        for one, other in zip(cast("list[Any]", value), cast("list[Any]", shown), strict=True):
            yield from _hidden(one, other)
    elif shown == HIDDEN != value:
        yield from _leaves(value)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _leaves(each)
    elif value not in (None, "", True, False):
        yield str(value)
