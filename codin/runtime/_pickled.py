"""A function and its arguments as bytes."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from codin.errors import ConfigError
from codin.runtime._protocol import Function

__all__ = ["pickled"]

_PLAIN = frozenset[type]({bool, bytes, float, int, str, type(None)})


def pickled(workload: Function, *, by_value_from: str = "") -> bytes:
    """For `pickle.loads`: the function, its arguments by place, and those by name.

    Args:
        by_value_from: the module of which everything goes along as code; else a function goes by its name.

    Raises:
        ConfigError: it cannot be sent.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise ConfigError(
            "a function is sent with the package cloudpickle, which is not installed",
            hint="pip install 'codin[runtime]'",
        ) from error
    function, args, kwargs = workload.function, tuple(workload.args), dict(workload.kwargs)
    try:
        if not by_value_from and _is_by_name(function) and _are_plain(args) and _are_plain(kwargs.values()):
            return pickle.dumps((function, args, kwargs))  # in a third of the time
        with _by_value(by_value_from):
            return cloudpickle.dumps((function, args, kwargs))  # pyright: ignore[reportUnknownMemberType]
    except Exception as error:  # whatever its arguments' own reducers raise
        raise ConfigError(
            f"the function {_name(function)!r} cannot be sent: {type(error).__name__}: {error}",
            hint="pass what it needs as plain arguments, or name it by its module",
        ) from error


def _is_by_name(function: Callable[..., Any]) -> bool:
    """Whether cloudpickle would send it by its name as well."""
    import cloudpickle

    if type(function) is not FunctionType:
        return False
    module = sys.modules.get(function.__module__)
    found = getattr(module, function.__qualname__, None)
    return found is function and function.__module__ != "__main__" and not cloudpickle.list_registry_pickle_by_value()


def _are_plain(values: Iterable[object]) -> bool:
    return all(type(value) in _PLAIN for value in values)


@contextmanager
def _by_value(name: str) -> Generator[None]:
    """Meanwhile what this module has is sent as code, as what `__main__` has always is."""
    import cloudpickle

    module = None if name in ("", "__main__") else sys.modules.get(name)
    if module is None or name in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)  # pyright: ignore[reportUnknownMemberType]
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)  # pyright: ignore[reportUnknownMemberType]


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
