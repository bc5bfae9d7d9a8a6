"""From any object to an agent: itself, a function, or what an installed adapter makes of it."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from codin.agent._function import FunctionAgent, check_options
from codin.agent._protocol import Agent
from codin.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ADAPTERS", "adapters", "as_agent", "extras", "is_asgi", "packages_of"]

ADAPTERS = "codin.adapters"
"""The entry point group: the name is a framework's top-level package, the value a callable `adapt(obj, **options)`."""

_MEMBERS = ("id", "name", "description", "tools", "handle")


def as_agent(obj: Any, *, name: str | None = None, description: str | None = None, **options: Any) -> Agent:
    """Make an agent of an object.

    An agent stays itself. An object of a framework goes to the adapter for it, which is imported only then. A function
    or other callable becomes a `FunctionAgent`.

    Args:
        obj: an agent, a function, or an agent object of an installed framework.
        options: for the adapter, or for `FunctionAgent`.

    Raises:
        ConfigError: nothing fits; the text says what is missing, or which frameworks are known.
    """
    options |= {key: value for key, value in (("name", name), ("description", description)) if value is not None}
    if inspect.isclass(obj):
        raise ConfigError(f"{obj.__qualname__!r} is a class", hint="pass an instance of it")
    missing = [member for member in _MEMBERS if not hasattr(obj, member)]
    if not missing:
        return _kept(obj, options)
    packages = packages_of(obj)
    known = adapters() if packages or not callable(obj) else {}
    found = next((known[package] for package in packages if package in known), None)
    if found is not None:
        return _adapted(found, obj, options)
    if "handle" not in missing or missing == ["handle"]:
        names = ", ".join(repr(member) for member in missing)
        raise ConfigError(f"{obj!r} is no agent: it has no {names}", hint="codin.agent.Agent lists what an agent has")
    if callable(obj):
        check_options(options)
        made = FunctionAgent(obj, **options)
        if is_asgi(obj):
            raise ConfigError(f"{_typed(obj)} is an ASGI application, and no agent", hint="uvicorn, say, serves it")
        return made
    raise ConfigError(
        f"{_typed(obj)} cannot be served: it is no agent and no function, and there is no adapter for it",
        hint=_advice(packages, sorted(known)),
    )


def _kept(obj: Any, options: dict[str, Any]) -> Agent:
    if options:
        raise ConfigError(f"{obj!r} is an agent already", hint=f"set {', '.join(options)} where it is made")
    for member in ("id", "name"):
        if not isinstance(getattr(obj, member), str) or not getattr(obj, member):
            raise ConfigError(f"{obj!r} is no agent: its {member!r} is {getattr(obj, member)!r} and should be text")
    handle = obj.handle
    if not callable(handle) or inspect.isasyncgenfunction(handle) or inspect.isgeneratorfunction(handle):
        raise ConfigError(
            f"{obj!r} is no agent: its 'handle' is no coroutine function",
            hint="write `async def handle(self, task) -> AgentResponse`; what it streams goes to task.write",
        )
    agent: Agent = obj
    return agent


def is_asgi(obj: Any) -> bool:
    """Whether it takes what an ASGI server gives its application."""
    try:
        return callable(obj) and list(inspect.signature(obj).parameters) == ["scope", "receive", "send"]
    except ValueError:
        return False


def packages_of(obj: Any) -> list[str]:
    """The top-level packages of the object's classes, nearest first."""
    if type(obj).__module__.startswith("codin.client."):
        return ["codin"]
    packages = dict.fromkeys(kind.__module__.partition(".")[0] for kind in type(obj).__mro__)
    return [package for package in packages if package not in {"builtins", "functools", "typing", "codin"}]


def adapters() -> dict[str, EntryPoint]:
    """The installed adapters, by the top-level package of what they know."""
    from importlib.metadata import entry_points  # a function needs no adapter

    return {point.name: point for point in entry_points(group=ADAPTERS)}


def _adapted(point: EntryPoint, obj: Any, options: dict[str, Any]) -> Agent:
    try:
        adapt = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the adapter for {_typed(obj)} cannot be imported: {error}",
            hint=f"pip install 'codin[{_extra(point)}]'" if _ours(point) else f"the adapter is {point.value!r}",
        ) from error
    agent: Agent = adapt(obj, **options)
    return agent


def extras() -> dict[str, str]:
    """The extras of codin that bring a framework, by the framework's top-level package."""
    return {point.name: _extra(point) for point in adapters().values() if _ours(point) and point.name != "codin"}


def _ours(point: EntryPoint) -> bool:
    return point.module.startswith("codin.")


def _extra(point: EntryPoint) -> str:
    """The extra that brings what an adapter of codin needs. It is named like the adapter's module."""
    return point.module.rpartition(".")[2].replace("_", "-")


def _advice(packages: list[str], known: list[str]) -> str:
    listed = f"known frameworks: {', '.join(known)}" if known else "no adapter is installed"
    if not packages or packages[0] in {"__main__", *sys.stdlib_module_names}:
        return listed
    return f"{listed}; for this one, install a package with an adapter named {packages[0]!r}"


def _typed(obj: Any) -> str:
    return f"an object of {type(obj).__module__}.{type(obj).__qualname__}"
