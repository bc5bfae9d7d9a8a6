"""What an agent asks of a function's signature beyond what every tool does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codin.errors import ConfigError
from codin.tool import _signature
from codin.tool._hints import Kind
from codin.tool._signature import Parameter, Signature

__all__ = ["read_signature"]

_ONE_OF = {Kind.TASK: "the task", Kind.MESSAGE: "the message"}
_FILES = (Kind.BYTES, Kind.PART, Kind.MANY_BYTES, Kind.MANY_PARTS)


def read_signature(function: Callable[..., Any], label: str, local: Mapping[str, Any]) -> Signature:
    """The signature of a function whose parameters are filled from a message.

    Raises:
        ConfigError: one cannot be; the text names it.
    """
    signature = _signature.read_signature(function, label, local)
    _check(signature.parameters, label, function)
    return signature


def _check(parameters: Sequence[Parameter], label: str, function: Callable[..., Any]) -> None:
    if parameters and parameters[0].name == "self" and parameters[0].hint.core is Any and inspect.isfunction(function):
        raise ConfigError(
            f"parameter 'self' of {label}: a method has to be bound first", hint="write agent(instance.method)"
        )
    for kind, what in _ONE_OF.items():
        same = [parameter.name for parameter in parameters if parameter.hint.kind is kind]
        if len(same) > 1:
            raise ConfigError(f"parameter {same[1]!r} of {label} asks for {what}, and {same[0]!r} already does")
    lists = False
    for parameter in parameters:
        if lists and parameter.hint.kind in _FILES:
            raise ConfigError(f"parameter {parameter.name!r} of {label} gets no file: a list before it takes them all")
        lists = lists or parameter.hint.kind in (Kind.MANY_BYTES, Kind.MANY_PARTS)
