"""JSON Schema of any origin: the one place that knows the validator, which is loaded with the first schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

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

    Raises:
        SchemaBroken: it is no JSON Schema.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import Draft202012Validator, SchemaError
        from jsonschema.validators import validator_for
        from jsonschema_specifications import REGISTRY

        try:
            own = dict(schema)
            kind: type[Validator] = validator_for(own, default=Draft202012Validator)
            kind.check_schema(own)
        except SchemaError as error:
            raise SchemaBroken(f"{error.json_path}: {error.message[:_SHOWN]}") from None
        except Exception as error:  # it is a stranger's, and may be anything
            raise SchemaBroken(f"it cannot be read ({type(error).__name__})") from None
        # Without a registry the validator would fetch what a schema refers to, from wherever it says.
        self._validator = kind(own, registry=REGISTRY)

    def check(self, value: Any) -> None:
        """See whether a JSON value fits.

        Raises:
            Misfit: it does not.
            SchemaBroken: nobody can tell, because the schema refers to what is not there, or to itself without end.
        """
        from jsonschema import exceptions
        from referencing.exceptions import Unresolvable

        best_match: _BestMatch = cast("Any", exceptions).best_match  # its type is not known to type checkers
        try:
            errors = cast("Iterable[ValidationError]", self._validator.iter_errors(value))
            error = best_match(islice(errors, _LOOKED_AT))
        except Unresolvable as broken:
            raise SchemaBroken(f"it refers to {str(broken.ref)[:_SHOWN]!r}, which is not in it") from None
        except Exception as broken:  # a reference in a circle, a pattern that Python does not know
            raise SchemaBroken(f"it cannot be followed ({type(broken).__name__})") from None
        if error is not None:
            raise _misfit(error)


def _misfit(error: ValidationError) -> Misfit:
    path = [str(step) for step in error.absolute_path]
    rule, wanted = str(error.validator), cast("Any", error.validator_value)
    if rule == "required":
        path += [name for name in wanted if name not in error.instance][:1]
        return Misfit(".".join(path), "is missing")
    if rule == "additionalProperties" and wanted is False and (unknown := _unknown(error)):
        return Misfit(".".join([*path, unknown]), "there is no such field")
    return Misfit(".".join(path), f"{_SAID.get(rule, f'should fit {rule}:')} {_short(wanted)}")


def _unknown(error: ValidationError) -> str | None:
    schema = cast("Mapping[str, Any]", error.schema)
    patterns: Iterable[str] = schema.get("patternProperties", ())
    for name in cast("Mapping[str, Any]", error.instance):
        if name not in schema.get("properties", ()) and not any(re.search(pattern, name) for pattern in patterns):
            return name[:_SHOWN]
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
