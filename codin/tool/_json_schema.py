"""JSON Schema of any origin: the one place that knows the validator, which is loaded with the first schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, cast

from codin.tool._patterns import Patterns
from codin.tool._pointer import pointed

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["JsonSchema", "Misfit", "SchemaBroken", "in_place"]

_LOOKED_AT = 20  # errors, of which the most telling one is said
_SHOWN = 200  # letters of a schema in a message
_SAID = {"type": "should be of type", "enum": "should be one of", "const": "should be"}
_FIT_NOTHING: Sequence[tuple[str, Any]] = (
    ("not", {}),
    ("not", True),
    ("unevaluatedProperties", False),
)  # whatever the field holds
_KEPT_FOR_OTHERS = ("$defs", "definitions")  # which hold of nothing until they are referred to
_IN_PLACE = (("allOf", "anyOf", "oneOf"), ("not", "if", "then", "else"), ("dependentSchemas", "dependencies"))
# What tells forms of a value apart, and how deep in it.
_TELLING = ((("type",), 0), (("const", "enum"), 1), (("required",), 0))


class SchemaBroken(Exception):
    """A schema by which nothing can be checked; the text says why."""


class Misfit(Exception):
    """A value that does not fit; the text says why, and never has the value: it may be a secret.

    Attributes:
        field: where, as a path with dots; empty for the value as a whole.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field


class JsonSchema:
    """A compiled schema. It fetches nothing: what it refers to has to be in it.

    Attributes:
        unchecked: patterns that are left to whoever holds the tool: with look-around or back-references, or very large.

    Raises:
        SchemaBroken: it is no JSON Schema, too large, or refers to itself without going into the value.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from jsonschema_specifications import REGISTRY

        from codin.tool._json_keywords import (
            PATTERNS_ONLY,
            TooMuchWork,
            bounded,
            is_large,
            schema_of_schemas,
            strangers,
        )

        self._patterns = Patterns()
        try:
            own = dict(schema)
            if is_large(own):
                raise TooMuchWork
            kind: Any = strangers(validator_for(own, default=Draft202012Validator))
            checker = kind(schema_of_schemas(kind), registry=REGISTRY, format_checker=PATTERNS_ONLY)
            with bounded(self._patterns):
                error = _first(checker.iter_errors(own))
        except TooMuchWork:
            raise SchemaBroken("it is too large, or too much work to read") from None
        except Exception as broken:  # it is a stranger's, and may be anything
            raise SchemaBroken(f"it cannot be read ({type(broken).__name__})") from None
        if error is not None:
            raise SchemaBroken(f"{error.json_path}: {error.message[:_SHOWN]}")
        if (reference := _circle_in(own)) is not None:
            raise SchemaBroken(f"{reference[:_SHOWN]!r} leads in a circle, and never into the value")
        self.unchecked: Sequence[str] = self._patterns.unknown
        # Without a registry the validator would fetch what a schema refers to, from wherever it says.
        self._validator = kind(own, registry=REGISTRY)

    def check(self, value: Any) -> None:
        """See whether a JSON value fits.

        Raises:
            Misfit: it does not.
            SchemaBroken: nobody can tell: the schema refers to what is not there, or to itself without end, or it
                would take more work than an event loop can wait for.
        """
        from referencing.exceptions import Unresolvable

        from codin.tool._json_keywords import TooMuchWork, bounded

        try:
            with bounded(self._patterns):
                error = _first(self._validator.iter_errors(value))
                misfit = None if error is None else _misfit(error)
        except Unresolvable as broken:
            raise SchemaBroken(f"it refers to {str(broken.ref)[:_SHOWN]!r}, which is not in it") from None
        except TooMuchWork:
            raise SchemaBroken("to check the value by it is too much work") from None
        except Exception as broken:  # a reference in a circle, a pattern that nobody knows
            raise SchemaBroken(f"it cannot be followed ({type(broken).__name__})") from None
        if misfit is not None:
            raise misfit


def _circle_in(root: Mapping[str, Any]) -> str | None:
    """A reference that leads back to itself by schemas of the same value; one that goes into a value is a tree's."""
    leads: dict[int, dict[int, str | None]] = {}
    waiting: list[Any] = [root]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict) and id(cast("object", each)) not in leads:
            schema = cast("dict[str, Any]", each)
            at_once = list(_at_once(schema, root))
            leads[id(schema)] = {id(there): reference for reference, there in at_once}
            waiting += [there for _, there in at_once]
            waiting += [part for name, part in schema.items() if name not in _KEPT_FOR_OTHERS]
        elif isinstance(each, list):
            waiting += cast("list[Any]", each)
    try:
        TopologicalSorter(leads).prepare()
    except CycleError as circle:
        steps = (leads[here][there] for there, here in pairwise(circle.args[1]))
        return next(reference for reference in steps if reference is not None)
    return None


def _at_once(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    """The schemas by which a value is looked at when it is by this one, with the references that lead there."""
    for part in in_place(schema):
        yield None, part
    if isinstance(reference := schema.get("$ref"), str):
        with suppress(LookupError):  # by a name, or what is not there
            yield reference, pointed(root, reference)


def in_place(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schemas within a schema that look at the same value as it does, and not at what is in the value."""
    lists, ones, named = _IN_PLACE
    found: list[Any] = [schema.get(word) for word in ones]
    for word in lists:
        parts: Any = schema.get(word)
        found += cast("list[Any]", parts) if isinstance(parts, list) else ()
    for word in named:
        parts = schema.get(word)
        found += cast("dict[str, Any]", parts).values() if isinstance(parts, dict) else ()
    yield from (cast("Mapping[str, Any]", part) for part in found if isinstance(part, dict))


def _first(errors: Iterable[ValidationError]) -> ValidationError | None:
    """The most telling one."""
    from jsonschema import exceptions

    relevance: Callable[[ValidationError], Any] = cast("Any", exceptions).relevance  # not known to type checkers
    told = list(islice(errors, _LOOKED_AT))
    error = None
    while told:
        error = max(told, key=relevance)
        told = _of_the_form_meant(error)
    return error


def _of_the_form_meant(error: ValidationError) -> Sequence[ValidationError]:
    """Of a value that fits none of several forms, what is wrong by the one that it is nearest to; nothing where several
    are: by its type, then by the fields that have one value, then by those that it has to have.
    """
    by_form: dict[Any, list[ValidationError]] = {}
    for each in error.context or ():
        by_form.setdefault(each.relative_schema_path[0], []).append(each)
    forms = list(by_form.values())
    for rules, depth in _TELLING:
        near = [form for form in forms if not any(each.validator in rules and len(each.path) <= depth for each in form)]
        forms = near or forms
    return forms[0] if len(forms) == 1 else ()


def _misfit(error: ValidationError) -> Misfit:
    from codin.tool._json_keywords import chosen_by

    path = [str(step) for step in error.absolute_path]
    rule, wanted = str(error.validator), cast("Any", error.validator_value)
    if rule == "required":
        path += [name for name in wanted if name not in error.instance][:1]
        return Misfit(".".join(path), "is missing")
    if rule == "uniqueItems":
        return Misfit(".".join(path), "has one item twice")
    if rule in ("anyOf", "oneOf"):
        given: Any = error.instance
        if isinstance(given, dict) and (told := chosen_by(cast("Mapping[str, Any]", error.schema), wanted)):
            name, forms = told
            said = f"should be one of {_short(list(forms))}" if name in given else "is missing"
            return Misfit(".".join([*path, name]), said)
        fits = "none" if error.context else "more than one"
        return Misfit(".".join(path), f"fits {fits} of {len(wanted)} forms: {_short(wanted)}")
    if rule == "additionalProperties" and wanted is False and (unknown := _unknown(error)):
        return Misfit(".".join([*path, unknown]), "there is no such field")
    if (rule, wanted) in _FIT_NOTHING and isinstance((error.absolute_path or [None])[-1], str):
        return Misfit(".".join([*path[:-1], path[-1][:_SHOWN]]), "there is no such field")
    return Misfit(".".join(path), f"{_SAID.get(rule, f'should fit {rule}:')} {_short(wanted)}")


def _unknown(error: ValidationError) -> str | None:
    from codin.tool._json_keywords import uncovered

    fields = cast("Mapping[str, Any]", error.instance)
    name = next(uncovered(fields, cast("Mapping[str, Any]", error.schema)), None)
    return None if name is None else name[:_SHOWN]


def _short(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
