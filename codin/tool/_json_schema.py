"""JSON Schema of any origin: the one place that knows the validator, which is loaded with the first schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from codin.tool._patterns import Patterns

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_BestMatch: TypeAlias = "Callable[[Iterable[ValidationError]], ValidationError | None]"

__all__ = ["JsonSchema", "Misfit", "SchemaBroken"]

_LOOKED_AT = 20  # errors, of which the most telling one is said
_SHOWN = 200  # letters of a schema in a message
_SAID = {"type": "should be of type", "enum": "should be one of", "const": "should be"}


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
        SchemaBroken: it is no JSON Schema, or too large.
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


def _first(errors: Iterable[ValidationError]) -> ValidationError | None:
    """The most telling one."""
    from jsonschema import exceptions

    best_match: _BestMatch = cast("Any", exceptions).best_match  # its type is not known to type checkers
    return best_match(islice(errors, _LOOKED_AT))


def _misfit(error: ValidationError) -> Misfit:
    path = [str(step) for step in error.absolute_path]
    rule, wanted = str(error.validator), cast("Any", error.validator_value)
    if rule == "required":
        path += [name for name in wanted if name not in error.instance][:1]
        return Misfit(".".join(path), "is missing")
    if rule == "uniqueItems":
        return Misfit(".".join(path), "has one item twice")
    if rule == "additionalProperties" and wanted is False and (unknown := _unknown(error)):
        return Misfit(".".join([*path, unknown]), "there is no such field")
    return Misfit(".".join(path), f"{_SAID.get(rule, f'should fit {rule}:')} {_short(wanted)}")


def _unknown(error: ValidationError) -> str | None:
    from codin.tool._json_keywords import uncovered

    fields = cast("Mapping[str, Any]", error.instance)
    name = next(uncovered(fields, cast("Mapping[str, Any]", error.schema)), None)
    return None if name is None else name[:_SHOWN]


def _short(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
