"""What a function uses of its surroundings: an agent that a tool runs is no argument of anything, only a name in it."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType

__all__ = ["used_by"]


def used_by(function: object) -> Iterator[object]:
    """A function, the values that it names of its module or of the functions around it, and so on in its module's own.

    What is no function uses nothing.
    """
    waiting, seen = [function], set[int]()
    while waiting:
        given = waiting.pop()
        plain = _plain(given)
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        yield from (given, plain)
        names = set(_names(plain.__code__))
        around = inspect.getclosurevars(plain).nonlocals.values()
        values = [*around, *(value for name, value in plain.__globals__.items() if name in names)]
        yield from values
        waiting += [value for value in values if getattr(value, "__module__", None) == plain.__module__]


def _plain(function: object) -> FunctionType | None:
    """The function as it is written, without what is wrapped around it."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif callable(function) and hasattr(function, "__wrapped__"):
            function = inspect.unwrap(function)
        else:
            return function if isinstance(function, FunctionType) else None


def _names(code: CodeType) -> Iterator[str]:
    """The global names in it, and in the functions within."""
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
