"""A function's signature, as agents and tools see it. Read once, when the function is decorated."""

from __future__ import annotations

import functools
import inspect
from collections import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, get_args, get_origin

from codin.errors import ConfigError
from codin.tool._hints import Hint, Kind, read_hint, resolve

__all__ = ["Flavour", "Parameter", "Signature", "read_signature"]


class Flavour(Enum):
    """How a function is run."""

    COROUTINE = auto()
    STREAM = auto()
    BLOCKING = auto()
    BLOCKING_STREAM = auto()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `default` is `inspect.Parameter.empty` without one."""

    name: str
    hint: Hint
    default: Any

    @property
    def has_default(self) -> bool:
        return self.default is not inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Without it the function cannot be called."""
        return not self.has_default and not self.hint.nullable


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives.

    Attributes:
        returns: of a stream, the hint of what it yields; None when there is none, or it cannot be resolved.
    """

    flavour: Flavour
    parameters: Sequence[Parameter]
    returns: Hint | None


_UNSUPPORTED = {
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values",
    inspect.Parameter.VAR_KEYWORD: "takes any names",
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only, and arguments are given by name",
}
_NOT_SENT = {
    Kind.ARTIFACT: "an artifact is what an agent makes; a message holds parts (codin.a2a.Part)",
    Kind.RESPONSE: "a response is what an agent returns",
    Kind.WIRE_TASK: "codin.a2a.Task is the object on the wire; the live handle is codin.task.Task",
    Kind.NONE: "None is no value",
}


def read_signature(function: Callable[..., Any], label: str, local: Mapping[str, Any]) -> Signature:
    """Read a function, method, partial or callable object.

    Args:
        label: what errors call it.
        local: names of the place where it was decorated, for hints that are text.

    Raises:
        ConfigError: a parameter cannot be filled by its name; the text names it.
    """
    inner, bound = _inner_of(function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"the signature of {label} cannot be read: {error}") from None
    scope: Mapping[str, Any] = getattr(inspect.unwrap(inner), "__globals__", {})
    parameters = [
        _read_parameter(parameter, label, scope, local)
        for parameter in signature.parameters.values()
        if parameter.name not in bound
    ]
    flavour = _flavour_of(inner)
    return Signature(flavour, parameters, _returned(signature.return_annotation, flavour, scope, local))


def _inner_of(function: Callable[..., Any]) -> tuple[Callable[..., Any], set[str]]:
    """What is really called, and the names a partial has bound by keyword."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound |= function.keywords.keys()
        function = function.func
    return function if inspect.isroutine(function) else function.__call__, bound


def _flavour_of(function: Callable[..., Any]) -> Flavour:
    if inspect.isasyncgenfunction(function):
        return Flavour.STREAM
    if inspect.iscoroutinefunction(function):
        return Flavour.COROUTINE
    return Flavour.BLOCKING_STREAM if inspect.isgeneratorfunction(function) else Flavour.BLOCKING


def _read_parameter(
    parameter: inspect.Parameter, label: str, scope: Mapping[str, Any], local: Mapping[str, Any]
) -> Parameter:
    name = parameter.name
    problem = _UNSUPPORTED.get(parameter.kind)
    if problem is not None:
        raise ConfigError(
            f"parameter {name!r} of {label} {problem}",
            hint="give it a name and a type, or bind it by functools.partial",
        )
    annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    try:
        hint = read_hint(resolve(annotation, scope, local))
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ConfigError(
            f"the type hint of parameter {name!r} of {label} cannot be resolved: {error}",
            hint="import the type at run time, outside of TYPE_CHECKING",
        ) from None
    if hint.kind in _NOT_SENT:
        raise ConfigError(f"parameter {name!r} of {label} cannot be filled: {_NOT_SENT[hint.kind]}")
    return Parameter(name, hint, parameter.default)


_ITERATORS = (abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator, abc.Iterator, abc.Iterable, abc.Generator)


def _returned(annotation: Any, flavour: Flavour, scope: Mapping[str, Any], local: Mapping[str, Any]) -> Hint | None:
    if annotation is inspect.Signature.empty:
        return None
    try:
        resolved = resolve(annotation, scope, local)
        if flavour in (Flavour.STREAM, Flavour.BLOCKING_STREAM):
            if get_origin(resolved) not in _ITERATORS or not get_args(resolved):
                return None
            resolved = get_args(resolved)[0]
        return read_hint(resolved)
    except (
        NameError,
        TypeError,
        SyntaxError,
        AttributeError,
    ):  # what is published says less
        return None
