"""Parameters as the fields of one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from codin.errors import ConfigError
from codin.tool._hints import object_of
from codin.tool._signature import Parameter

__all__ = ["fields_adapter", "hint_adapter"]


def hint_adapter(parameter: Parameter, label: str) -> TypeAdapter[Any]:
    """What checks the values of one parameter. Raises ConfigError, which names it, where pydantic has no way to."""
    try:
        return TypeAdapter(parameter.hint.full)
    except (PydanticUserError, TypeError, NameError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"parameter {parameter.name!r} of {label} has a type that no JSON can fill: {reason}",
            hint="bind it by functools.partial, or take a type pydantic knows",
        ) from None


def fields_adapter(fields: Sequence[Parameter], label: str) -> TypeAdapter[Any]:
    """What checks an object that has the parameters as its fields, and no others."""
    for parameter in fields:
        hint_adapter(parameter, label)  # an error that names the parameter
    required = {parameter.name for parameter in fields if parameter.required}
    made = object_of(label, {parameter.name: parameter.hint.full for parameter in fields}, required)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(made)
