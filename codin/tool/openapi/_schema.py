"""Schemas of a document as JSON Schemas that stand by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, cast

from codin.errors import DocumentRefused
from codin.tool._json_schema import JsonSchema, SchemaBroken, in_place
from codin.tool._patterns import Patterns
from codin.tool.openapi._document import Document, child, object_at

__all__ = ["Direction", "Schemas"]

Direction = Literal["input", "output"]

_ONE = frozenset(
    {
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"dependentSchemas", "patternProperties", "properties"})
_KEPT = frozenset(
    {
        "const",
        "contentEncoding",
        "contentMediaType",
        "default",
        "dependentRequired",
        "deprecated",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "readOnly",
        "required",
        "title",
        "type",
        "uniqueItems",
        "writeOnly",
    }
)
_SCHEMAS = "#/components/schemas/"
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(slots=True)
class _Read:
    """A schema as JSON Schema; what it refers to, by its places; how many values it has; and why it is of no use."""

    schema: dict[str, Any] = field(default_factory=dict[str, Any])
    targets: set[str] = field(default_factory=set[str])
    size: int = 0
    broken: str = ""


class Schemas:
    """The schemas of one document. Each of those that others refer to is read and checked once.

    A schema for arguments has nothing that only the server may say (`readOnly`), and one for results demands nothing
    that only the caller says (`writeOnly`).
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: dict[tuple[str, Direction], _Read] = {}
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def read(self, schema: Any, place: str, direction: Direction) -> dict[str, Any]:
        """The schema, with what it refers to as its `$defs`; a circle stays one.

        Raises:
            DocumentRefused: it is none, or with all that it refers to larger than the limits.
        """
        whole = _of_use(self._read(schema, place, direction), place)
        size = whole.size
        waiting, reached = list(whole.targets), dict[str, _Read]()
        while waiting:
            target = waiting.pop()
            if target in reached:
                continue
            found = reached[target] = _of_use(self._at(target, place, direction), target)
            size += found.size
            if size > self._document.limits.schema:
                raise DocumentRefused(
                    f"the schema has more than {self._document.limits.schema} values, with what it refers to",
                    place=place,
                    hint="leave the operation out, by only=…, or raise OpenApiLimits.schema",
                )
            waiting += found.targets
        if not reached:
            return whole.schema
        definitions = {self._name(each): reached[each].schema for each in sorted(reached)}
        _check_circles(definitions, {f"#/$defs/{self._name(each)}": each for each in reached}, place)
        return {**whole.schema, "$defs": definitions}

    def _at(self, target: str, place: str, direction: Direction) -> _Read:
        known = self._known.get((target, direction))
        if known is None:
            read = self._read(self._document.at(target, place), target, direction)
            known = self._known[target, direction] = read
        return known

    def _name(self, target: str) -> str:
        if target not in self._names:
            plain = _NAME.sub("_", target.rpartition("/")[2]) or "root"
            name, number = plain, 2
            while name in self._taken:
                name, number = f"{plain}_{number}", number + 1
            self._names[target] = name
            self._taken.add(name)
        return self._names[target]

    def _read(self, schema: Any, place: str, direction: Direction) -> _Read:
        read = _Read()
        read.schema = self._made(schema, place, direction, read)
        try:
            JsonSchema(read.schema)
        except SchemaBroken as broken:
            read.broken = str(broken)
        return read

    def _made(self, schema: Any, place: str, direction: Direction, read: _Read) -> dict[str, Any]:
        read.size += 1
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        given = object_at(schema, place)
        made = self._referred(given, place, read)
        if made and self._document.is_3_0:  # 3.0: what stands beside a reference is ignored
            return made
        for key, value in given.items():
            if key in _KEPT:
                made[key] = value
                read.size += 1
            elif key in _ONE:
                made[key] = self._made(value, child(place, key), direction, read)
            elif key in _LISTED:
                made[key] = [
                    self._made(each, child(child(place, key), number), direction, read)
                    for number, each in enumerate(_list(value, child(place, key)))
                ]
            elif key in _NAMED:
                fields = object_at(value, child(place, key)).items()
                here = child(place, key)
                made[key] = {name: self._made(each, child(here, name), direction, read) for name, each in fields}
        self._directed(made, given, place, direction)
        _choosing(made, given, read)
        _without_broken_patterns(made)
        return _from_3_0(made, given) if self._document.is_3_0 else made

    def _referred(self, given: Mapping[str, Any], place: str, read: _Read) -> dict[str, Any]:
        """The reference of a schema, if it has one."""
        for word in ("$dynamicRef", "$recursiveRef"):
            if word in given:
                told = f"where {word!r} leads depends on what refers to its schema, and it is not followed; $ref is"
                raise DocumentRefused(told, place=child(place, word))
        if "$ref" not in given:
            return {}
        target = self._document.target(given["$ref"], child(place, "$ref"))
        self._document.at(target, place)
        read.targets.add(target)
        return {"$ref": f"#/$defs/{self._name(target)}"}

    def _directed(self, made: dict[str, Any], given: Mapping[str, Any], place: str, direction: Direction) -> None:
        """Without the fields that this side does not say."""
        fields: Any = given.get("properties")
        if not isinstance(fields, dict):
            return
        mark = "readOnly" if direction == "input" else "writeOnly"
        here = child(place, "properties")
        for name, each in cast("dict[str, Any]", fields).items():
            if not isinstance(each, dict) or self._document.follow(each, child(here, name))[0].get(mark) is not True:
                continue
            if direction == "input":
                made["properties"].pop(name)
            if isinstance(required := made.get("required"), list):
                made["required"] = [other for other in cast("list[Any]", required) if other != name]


def _choosing(made: dict[str, Any], given: Mapping[str, Any], read: _Read) -> None:
    """With the field that chooses one of several forms, and the form for each of its values; as pydantic has it.

    A form that no value is given for has the name of its schema (OpenAPI 3.1, 4.8.25).
    """
    told: Any = given.get("discriminator")
    name: Any = cast("dict[str, Any]", told).get("propertyName") if isinstance(told, dict) else None
    if not isinstance(name, str):
        return
    forms: dict[str, str] = {
        form["$ref"]: there["$ref"]
        for joint in ("anyOf", "oneOf")
        for form, there in zip(given.get(joint, ()), made.get(joint, ()), strict=True)
        if isinstance(form, dict) and "$ref" in form
    }
    said: Any = cast("dict[str, Any]", told).get("mapping")
    mapping = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    targets = {value: str(target) for value, target in mapping.items()}
    places = {value: target if target.startswith("#") else _SCHEMAS + target for value, target in targets.items()}
    named = {value: forms[place] for value, place in places.items() if place in forms}
    told_of = set(places.values())
    for place in forms:
        if place not in told_of:
            named.setdefault(place.rpartition("/")[2], forms[place])
    if named:
        made["discriminator"] = {"propertyName": name, "mapping": named}
        read.size += len(named)


def _of_use(read: _Read, place: str) -> _Read:
    if read.broken:
        raise DocumentRefused(f"the schema is of no use: {read.broken}", place=place)
    return read


def _check_circles(definitions: Mapping[str, Any], targets: Mapping[str, str], place: str) -> None:
    """Refuse schemas that lead back to themselves without going into the value; each alone has been checked."""
    leads = {f"#/$defs/{name}": joined for name, schema in definitions.items() if (joined := set(_joined(schema)))}
    try:
        TopologicalSorter(leads).prepare()
    except CycleError as circle:
        told = f"{targets[circle.args[1][0]]!r} leads in a circle, and never into the value"
        raise DocumentRefused(f"the schema is of no use: {told}", place=place) from None


def _joined(schema: Mapping[str, Any]) -> Iterator[str]:
    """What a value is looked at by when it is by the schema, of what it refers to."""
    if "$ref" in schema:
        yield schema["$ref"]
    for part in in_place(schema):
        yield from _joined(part)


def _list(value: Any, place: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise DocumentRefused(f"a list is expected here, and not {type(value).__name__!r}", place=place)
    return cast("list[Any]", value)


def _without_broken_patterns(made: dict[str, Any]) -> None:
    """One that no engine here knows is the server's to check."""
    if "pattern" in made and not _is_pattern(made["pattern"]):
        del made["pattern"]
    if "patternProperties" in made:
        # what such a pattern names must not count as unknown
        made["patternProperties"] = {
            pattern if _is_pattern(pattern) else "": each if _is_pattern(pattern) else {}
            for pattern, each in made["patternProperties"].items()
        }


def _is_pattern(pattern: Any) -> bool:
    try:
        Patterns().get(pattern)
    except (ValueError, TypeError):
        return False
    return True


def _from_3_0(made: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What 3.0 says in its own words, in those of JSON Schema 2020-12."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
            made[exclusive] = made.pop(bound)
    if given.get("nullable") is not True:
        return made
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
        return made
    words = {key: made.pop(key) for key in ("title", "description", "default") if key in made}
    return {"anyOf": [made, {"type": "null"}], **words} if made else {**words}
