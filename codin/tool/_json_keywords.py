"""The validators of `jsonschema`, of every draft, as they are to work for schemas and values of strangers.

Patterns are matched in linear time, and the work of a check is bounded: a short schema may ask for years of it. Loaded
with the first schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from time import thread_time
from typing import Any, TypeAlias, cast
from urllib.parse import urljoin

from jsonschema import FormatChecker, validators
from jsonschema.exceptions import ValidationError
from jsonschema_specifications import REGISTRY

from codin.tool._patterns import Patterns

__all__ = [
    "PATTERNS_ONLY",
    "TooMuchWork",
    "bounded",
    "chosen_by",
    "is_large",
    "schema_of_schemas",
    "strangers",
    "uncovered",
]

_Rule: TypeAlias = "Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]"

_SECONDS = 2.0  # of work, to read any schema and to check any value: the event loop waits
_VALUES = 20_000  # in a schema
_STATES = 50e6  # of a pattern, that are gone through in a second
_TOLD = 200  # letters of an error, which has the whole value in it


class TooMuchWork(Exception):
    """A check that would take too long."""


class _Work:
    """The time of this thread that is left for one check, and the patterns of its schema."""

    def __init__(self, patterns: Patterns) -> None:
        self.patterns = patterns
        self._ends = thread_time() + _SECONDS

    def take(self, seconds: float = 0.0) -> None:
        """Begin what may take so long, and cannot be stopped."""
        if thread_time() + seconds > self._ends:
            raise TooMuchWork

    def finds(self, pattern: str, text: str) -> bool | None:
        """Whether a pattern fits; None when nobody here can tell."""
        known = self.patterns.get(pattern)
        if known is None:
            return None
        self.take(known.weight * len(text) / _STATES)
        return known.found_in(text)


_work: ContextVar[_Work] = ContextVar("codin_schema_work")


@contextmanager
def bounded(patterns: Patterns) -> Generator[None]:
    """Where a value may be checked, which takes so long at most as nobody calls it a hang."""
    token = _work.set(_Work(patterns))
    try:
        yield
    finally:
        _work.reset(token)


@cache
def strangers(kind: Any) -> Any:
    """The validator of a draft, with these rules."""
    rules: dict[str, _Rule] = dict(kind.VALIDATORS)
    ours: dict[str, _Rule] = {
        **{joint: _of_the_chosen(rules[joint]) for joint in ("anyOf", "oneOf") if joint in rules},
        "additionalProperties": _additional_properties,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "unevaluatedProperties": _unevaluated_properties,
        "uniqueItems": _unique_items,
    }
    rules |= {name: rule for name, rule in ours.items() if name in rules}
    made: Any = cast("Any", validators).extend(kind, {name: _counted(rule) for name, rule in rules.items()})
    evolve = made.evolve

    def as_one_of_ours(validator: Any, **changes: Any) -> Any:
        """Without the name of a draft within the schema, for which `jsonschema` would take its own validator."""
        schema = changes.get("schema")
        if isinstance(schema, Mapping) and "$schema" in schema:
            own = cast("Mapping[str, Any]", schema)
            changes["schema"] = {name: each for name, each in own.items() if name != "$schema"}
        return evolve(validator, **changes)

    made.evolve = as_one_of_ours
    return made


def _counted(rule: _Rule) -> _Rule:
    def within(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _work.get().take()
        for error in rule(validator, wanted, instance, schema) or ():
            error.message, error.args = error.message[:_TOLD], ()
            yield error

    return within


# -- rules that have patterns ------------------------------------------------------------------------------------------


def _pattern(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and _work.get().finds(wanted, instance) is False:
        yield ValidationError("does not fit the pattern")


def _pattern_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in wanted.items():
        for name, value in cast("dict[str, Any]", instance).items():
            if _work.get().finds(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict) or wanted is True:
        return
    fields = cast("dict[str, Any]", instance)
    for name in uncovered(fields, schema):
        if wanted is False:
            yield ValidationError("has a field that is not there")
            return
        yield from validator.descend(fields[name], wanted, path=name)


def uncovered(instance: Iterable[str], schema: Mapping[str, Any]) -> Iterator[str]:
    """The names that neither `properties` nor `patternProperties` speak of."""
    known = schema.get("properties", ())
    patterns: Iterable[str] = schema.get("patternProperties", ())
    for name in instance:
        # a pattern that nobody can tell of may be meant for the name
        if name not in known and all(_work.get().finds(pattern, name) is False for pattern in patterns):
            yield name


def _unevaluated_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict) or wanted is True:
        return
    fields = cast("dict[str, Any]", instance)
    others = {name: rule for name, rule in schema.items() if name != "unevaluatedProperties"}
    looked_at = set(_evaluated(validator, fields, others))
    for name in [name for name in fields if name not in looked_at]:
        if wanted is False:
            yield ValidationError("has a field that is not there", path=[name])
            return
        yield from validator.descend(fields[name], wanted, path=name, schema_path=name)


def _evaluated(validator: Any, fields: dict[str, Any], schema: Any) -> Iterator[str]:
    """The names that a schema speaks of, with what it is put together from (2020-12, 11.3)."""
    if not isinstance(schema, dict):
        return
    rules = cast("dict[str, Any]", schema)
    _work.get().take()
    if "additionalProperties" in rules or "unevaluatedProperties" in rules:
        yield from fields  # what does not fit it is an error of its own
        return
    if "properties" in rules or "patternProperties" in rules:
        yield from fields.keys() - set(uncovered(fields, rules))
    for name, inner in rules.get("dependentSchemas", {}).items():
        if name in fields:
            yield from _evaluated(validator, fields, inner)
    for inner in _applied(validator, fields, rules):
        yield from _evaluated(validator, fields, inner)
    for reference in ("$ref", "$dynamicRef", "$recursiveRef"):
        if reference in rules:
            # Only the library knows where a reference leads from here.
            found = validator._resolver.lookup(rules[reference])
            there = validator.evolve(schema=found.contents, _resolver=found.resolver)
            yield from _evaluated(there, fields, found.contents)


def _applied(validator: Any, fields: dict[str, Any], rules: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas beside these rules that hold for the value."""

    def holds(inner: Any) -> bool:
        return validator.evolve(schema=inner).is_valid(fields)

    for joint in ("allOf", "anyOf", "oneOf"):
        yield from filter(holds, rules.get(joint, ()))
    if "if" in rules:
        branch = "then" if holds(rules["if"]) else "else"
        yield from [rules[name] for name in ("if", branch) if name in rules and (name != "if" or branch == "then")]


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    items = cast("list[Any]", instance)
    if len({_key(item) for item in items}) < len(items):
        yield ValidationError("has one item twice")


def _key(value: Any) -> str:
    """A text for each value: one for 1 and 1.0, another for true. Not a hash, which others can make equal."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in cast("dict[str, Any]", value).items()}
    return [_plain(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


# -- forms that a field of the value chooses ---------------------------------------------------------------------------


def _of_the_chosen(rule: _Rule) -> _Rule:
    """`anyOf` or `oneOf`, of which a value that names one form has to fit that one."""

    def within(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterable[ValidationError] | None:
        if isinstance(instance, dict) and (told := chosen_by(schema, wanted)):
            name, forms = told
            said = cast("dict[str, Any]", instance).get(name)
            if isinstance(said, str) and said in forms:
                return validator.descend(instance, wanted[forms[said]], schema_path=forms[said])
        return rule(validator, wanted, instance, schema)

    return within


def chosen_by(schema: Mapping[str, Any], forms: Iterable[Any]) -> tuple[str, Mapping[str, int]] | None:
    """The field whose value names one of several forms, and which one it is for which value.

    It is no word of JSON Schema, but one of OpenAPI (3.1, 4.8.25), and of whatever pydantic makes.
    """
    told: Any = schema.get("discriminator")
    said = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    name, mapping = said.get("propertyName"), said.get("mapping")
    if not isinstance(name, str) or not isinstance(mapping, dict):
        return None
    known = {str(form["$ref"]): number for number, form in enumerate(forms) if _refers(form)}
    targets = cast("dict[str, Any]", mapping)
    named = {value: known[str(target)] for value, target in targets.items() if str(target) in known}
    return (name, named) if named else None


def _refers(form: Any) -> bool:
    return isinstance(form, dict) and "$ref" in form


# -- of schemas --------------------------------------------------------------------------------------------------------

PATTERNS_ONLY = FormatChecker(formats=())


def is_large(schema: Any) -> bool:
    """Whether it has more values in it than are read."""
    size, waiting = 0, [schema]
    while waiting and size <= _VALUES:
        each = waiting.pop()
        size += 1
        if isinstance(each, dict):
            waiting += cast("dict[str, Any]", each).values()
        elif isinstance(each, list):
            waiting += cast("list[Any]", each)
    return size > _VALUES


@cache
def schema_of_schemas(kind: Any) -> Any:
    """What a draft says of schemas, in one piece.

    The newer ones say it in vocabularies, which would be looked up and asked one by one at every level: seven times the
    work.
    """
    own = kind.META_SCHEMA
    if "allOf" not in own:
        return own
    vocabularies: list[Any] = [REGISTRY.contents(urljoin(own["$id"], part["$ref"])) for part in own["allOf"]]
    said: dict[str, dict[str, Any]] = {
        key: {name: rule for each in [*vocabularies, own] for name, rule in each.get(key, {}).items()}
        for key in ("properties", "$defs")
    }
    text = json.dumps({"type": ["object", "boolean"], **said})
    text = re.sub(r'"\$(dynamic|recursive)Ref": "#(meta)?"', '"$ref": "#"', text)
    return json.loads(re.sub(r'"meta/\w+#', '"#', text))


@PATTERNS_ONLY.checks("regex", raises=ValueError)
def _is_pattern(value: object) -> bool:
    if isinstance(value, str):
        _work.get().patterns.get(value)
    return True
