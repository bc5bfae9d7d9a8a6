"""Arguments as a log, a question or an error may show them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast
from urllib.parse import quote, quote_plus

from codin.tool._pointer import pointed

__all__ = ["Redaction"]

HIDDEN = "***"
_JOINTS = ("allOf", "anyOf", "oneOf", "if", "then", "else")
_DEPENDENT = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LEADING = frozenset((*_JOINTS, *_DEPENDENT, *_REFERENCES))
_LOOKS = 100_000  # at schemas, for all values of one call, which take about 1 s; what is left then is hidden
_WORK = 1_000_000_000  # letters to look at for secrets in one text, which take about 1 s
_LINE = 4  # letters of a line of a secret that is one by itself


class Redaction:
    """Knows the secrets among the arguments of one tool: by name, and by what the schema says of their place."""

    def __init__(self, schema: Mapping[str, Any], names: Collection[str]) -> None:
        self._schema = schema
        self._names = names
        text = json.dumps(schema, default=str)
        self.needed: bool = bool(names) or '"password"' in text or '"writeOnly"' in text

    def shown(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments without their secrets."""
        if not self.needed:
            return arguments
        looks = iter(range(_LOOKS))
        shown = self._shown(arguments, self._all([self._schema], looks), looks)
        return dict.fromkeys(arguments, HIDDEN) if shown == HIDDEN else shown

    def clean(self, text: str, arguments: Mapping[str, Any]) -> str:
        """A text without the values that are secret in these arguments, however it spells them."""
        if not self.needed:
            return text
        hidden = {each for secret in _hidden(arguments, self.shown(arguments)) for each in _spelt(secret)}
        if len(hidden) * len(text) > _WORK:
            return HIDDEN
        for secret in sorted(hidden, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def _shown(self, value: Any, schemas: Sequence[Mapping[str, Any]] | None, looks: Iterator[int]) -> Any:
        """A value, of whose place these schemas speak, or of which nothing is told."""
        if schemas is None:
            return HIDDEN
        if isinstance(value, dict):
            shown: dict[str, Any] = {}
            fields = cast("dict[str, Any]", value)
            if not _taken(looks, len(schemas) * len(fields)):
                return HIDDEN
            for name, each in fields.items():
                hidden = name in self._names
                shown[name] = HIDDEN if hidden else self._shown(each, self._all(_of_field(schemas, name), looks), looks)
            return shown
        if isinstance(value, list):
            first = max((len(_first(schema)) for schema in schemas), default=0)
            items = cast("list[Any]", value)
            places = [self._all(_of_item(schemas, index), looks) for index in range(min(first, len(items)))]
            others = self._all(_of_item(schemas, first), looks)
            return [self._shown(each, places[i] if i < first else others, looks) for i, each in enumerate(items)]
        return value

    def _all(self, schemas: Iterable[Mapping[str, Any]], looks: Iterator[int]) -> Sequence[Mapping[str, Any]] | None:
        """The schemas with those that they are put together from; None when one hides the value, or may."""
        found: dict[int, Mapping[str, Any]] = {}
        waiting = list(schemas)
        while waiting:
            schema = waiting.pop()
            if id(schema) in found:
                continue
            if not _taken(looks, 1) or schema.get("format") == "password" or schema.get("writeOnly") is True:
                return None
            found[id(schema)] = schema
            if schema.keys().isdisjoint(_LEADING):
                continue
            try:
                waiting += _mappings(
                    [pointed(self._schema, str(schema[name])) for name in _REFERENCES if name in schema]
                )
            except LookupError:  # by a name, which only the validator follows
                return None
            for joint in _JOINTS:
                parts: Any = schema.get(joint)
                waiting += _mappings(cast("list[Any]", parts) if isinstance(parts, list) else [parts])
            for name in _DEPENDENT:
                waiting += _mappings(_values(schema.get(name)))
        return list(found.values())


def _taken(looks: Iterator[int], number: int) -> bool:
    return sum(1 for _ in islice(looks, number)) == number


def _of_field(schemas: Sequence[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    for schema in schemas:
        fields = schema.get("properties")
        if isinstance(fields, Mapping) and name in fields:
            own = cast("Mapping[str, Any]", fields)[name]
        else:
            own = schema.get("additionalProperties")
        # Which of the patterns fit is not asked: any may.
        yield from _mappings([own, *_values(schema.get("patternProperties")), schema.get("unevaluatedProperties")])


def _of_item(schemas: Sequence[Mapping[str, Any]], index: int) -> Iterator[Mapping[str, Any]]:
    for schema in schemas:
        first, others = _first(schema), schema.get("items")
        own = first[index] if index < len(first) else schema.get("additionalItems") if others is first else others
        yield from _mappings([own, schema.get("contains"), schema.get("unevaluatedItems")])


def _first(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The schemas of the items that have one each; drafts before 2020-12 call them `items`."""
    found: Any = schema.get("prefixItems", schema.get("items"))
    return cast("list[Any]", found) if isinstance(found, list) else ()


def _values(value: Any) -> Sequence[Any]:
    return list(cast("Mapping[str, Any]", value).values()) if isinstance(value, Mapping) else []


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


def _spelt(secret: str) -> Iterator[str]:
    """A secret as errors have it: all of it or a line, as it is, as Python quotes it, as JSON does, or as a URL."""
    lines = [line.strip() for line in secret.splitlines()]
    for said in (secret, secret.strip(), *(line for line in lines if len(line) >= _LINE)):
        if said:
            yield from (said, repr(said)[1:-1], repr(f'"{said}')[2:-1])  # within a text that has both quotes
            yield from (json.dumps(said)[1:-1], json.dumps(said, ensure_ascii=False)[1:-1])
            yield from (quote(said, safe="", errors="replace"), quote_plus(said, errors="replace"))
