"""What in a module may be served, and which of it is meant."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import FunctionType, ModuleType

from codin.agent import Agent, as_agent
from codin.agent._parts import Parts
from codin.cli._terminal import say
from codin.errors import ConfigError

__all__ = ["find_agents", "offered"]

_ADAPTERS = "codin.adapters"  # the entry point group; a name in it is a framework's top-level package
_AGENT = ("id", "name", "description", "tools", "handle")


@dataclass
class _Findings:
    """What in a module may be served, by name: agents, what adapters make agents of, and plain functions.

    Attributes:
        parts: what an adapter knows, and what is served only when it is named: it belongs to something else.
    """

    module: ModuleType
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    adapted: dict[str, Agent] = field(default_factory=dict[str, Agent])
    parts: list[str] = field(default_factory=list[str])
    functions: dict[str, FunctionType] = field(default_factory=dict[str, FunctionType])
    imported: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        own = _own_names(self.module)
        frameworks = {point.name for point in entry_points(group=_ADAPTERS)}
        objects: dict[str, object] = {}
        seen: set[int] = set()
        for name, value in vars(self.module).items():
            if name.startswith("_") or inspect.isclass(value) or inspect.ismodule(value) or id(value) in seen:
                continue
            of_framework = not frameworks.isdisjoint(_packages_of(value))
            if name not in own:
                self.imported += [name] if of_framework or _is_agent(value) else []
                continue
            seen.add(id(value))
            if _is_agent(value):
                self.agents[name] = value
            elif of_framework:
                objects[name] = value
            elif isinstance(value, FunctionType) and value.__module__ == self.module.__name__:
                self.functions[name] = value
        self._adapt(objects)

    def _adapt(self, objects: dict[str, object]) -> None:
        """Take the objects of which their adapter makes agents; a framework has many others."""
        whole, within = _whole(objects)
        self.functions = {name: value for name, value in self.functions.items() if id(value) not in within}
        for name, value in objects.items():
            if name not in whole:
                self.parts.append(name)
                continue
            try:
                self.adapted[name] = as_agent(value)
            except ConfigError as error:
                self.refused.append(f"{name}: {error.message}")
        count = Counter(agent.id for agent in self.adapted.values())
        for name, agent in self.adapted.items():
            if count[agent.id] > 1:  # graphs without names of their own
                self.adapted[name] = as_agent(objects[name], name=name)


def find_agents(module: ModuleType, place: str) -> dict[str, Agent]:
    """The agents of a module, by their names in it.

    What was made an agent there is meant to be served, and what it is made of (a graph that an agent calls) is not; so
    objects of a framework are taken when there is no agent, and a plain function when there is neither. Of the objects,
    those are left out that belong to others: to serve them too would pass by what the others do around them.
    """
    found = _Findings(module)
    if found.agents:
        if found.adapted:
            others = ", ".join(f"{place}:{name}" for name in found.adapted)
            say(f"not served, because {place} has agents of its own: {others}", "dim")
        return found.agents
    if found.adapted:
        return found.adapted
    if len(found.functions) == 1:
        ((name, function),) = found.functions.items()
        agent = as_agent(function)
        say(
            f"the agent of {place} is its only public function, {name}; @agent or {place}:{name} makes that sure", "dim"
        )
        return {name: agent}
    if found.functions:
        names = list(found.functions)
        raise ConfigError(
            f"{place!r} has no agent, and {len(names)} functions that might be meant: {', '.join(names)}",
            hint=f"put @agent on those that are, or name one: {place}:{names[0]}",
        )
    because = f" ({'; '.join(found.refused)})" if found.refused else ""
    hint = "put @agent on a public function, or a compiled graph into a public name"
    if found.parts:
        hint = f"a model, a tool or another part is served when it is named; {_listed(place, found.parts)}"
    elif found.imported:
        hint = f"what it imports is not taken by itself; {_listed(place, found.imported)}"
    raise ConfigError(f"{place!r} has no agent{because}", hint=hint)


def offered(module: ModuleType, place: str) -> str:
    """What can be named in a module, as a hint; "" for nothing."""
    found = _Findings(module)
    return _listed(place, [*found.agents, *found.adapted, *found.parts, *found.functions, *found.imported])


def _whole(objects: dict[str, object]) -> tuple[set[str], set[int]]:
    """The names of those that are no part, neither by their nature nor of another, and what is within any of them.

    Of two that are in each other none is a part.
    """
    parts = Parts()
    within = {name: parts.within(value) for name, value in objects.items()}

    def inside(part: str, other: str) -> bool:
        return id(objects[part]) in within[other] and id(objects[other]) not in within[part]

    whole = {
        name
        for name, value in objects.items()
        if parts.of(value) is not None and not any(inside(name, other) for other in objects)
    }
    return whole, set[int]().union(*within.values())


def _listed(place: str, names: Sequence[str]) -> str:
    return "there is " + ", ".join(f"{place}:{name}" for name in names) if names else ""


def _is_agent(value: object) -> bool:
    return all(hasattr(value, member) for member in _AGENT)


def _packages_of(value: object) -> set[str]:
    """The top-level packages of the object's classes."""
    return {kind.__module__.partition(".")[0] for kind in type(value).__mro__}


def _own_names(module: ModuleType) -> set[str]:
    """The names that the module itself gives to something, rather than importing it. All, when there is no source."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):
        return set(vars(module))
    return set(_bound(ast.parse(source)))


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that statements bind outside of functions and classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            yield from _bound(child)
