"""From what a person types to agents: `path.py`, `path.py:name`, `package.module`, `package.module:name`."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from codin.agent import Agent, FunctionAgent, as_agent
from codin.errors import ConfigError

__all__ = ["load_agents", "source_folders"]

_FILE = re.compile(r"(?P<place>.+\.py)(?::(?P<name>.*))?", re.DOTALL)
_AGENT = ("id", "name", "description", "tools", "handle")


def load_agents(targets: Sequence[str]) -> list[Agent]:
    """The agents that the targets name, each once, in their order.

    Raises:
        ConfigError: a target cannot be imported, or it is not clear which agent is meant.
    """
    found = [agent for target in targets for agent in _agents_of(target)]
    return list({id(agent): agent for agent in found}.values())


def source_folders(targets: Sequence[str]) -> list[Path]:
    """Where the code of the targets is: the folders of the files, and the working directory for modules."""
    places = [_split(target)[0] for target in targets]
    return sorted({Path(place).resolve().parent if place.endswith(".py") else Path.cwd() for place in places})


def _agents_of(target: str) -> list[Agent]:
    place, name = _split(target)
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    if name is None:
        return _find(module, place)
    found: Any = module
    for step in name.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            hint = _listed(place, _Findings(module).offered) or "names are spelled as in Python"
            raise ConfigError(f"{place!r} has no {name!r}", hint=hint) from None
    return [as_agent(found)]


def _split(target: str) -> tuple[str, str | None]:
    if match := _FILE.fullmatch(target):
        place, name = match["place"], match["name"]
    else:
        place, colon, rest = target.partition(":")
        name = rest if colon else None
        if Path(target).is_dir() or os.sep in place or not all(part.isidentifier() for part in place.split(".")):
            raise ConfigError(
                f"{target!r} is no target", hint="write path.py, path.py:name, package.module or package.module:name"
            )
    if name is not None and not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{target!r} is no target: {name!r} is no name in Python", hint="write path.py:name")
    return place, name


# -- importing ---------------------------------------------------------------------------------------------------------


def _load_file(place: str) -> ModuleType:
    """Import a file by its path, under its own name where that is free, and never as `__main__`."""
    path = Path(place).resolve()
    if not path.is_file():
        raise ConfigError(f"there is no file {place!r}", hint="the path is relative to where you are")
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path) and module.__name__ != "__main__":
            return module
    _search_first(path.parent)
    name = path.stem
    while name in sys.modules or name in sys.stdlib_module_names:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _unimportable(place, error) from error
    return module


def _load_module(name: str) -> ModuleType:
    _search_first(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"did you mean {name}.py?" if Path(f"{name}.py").is_file() else "a file is written with its .py"
            raise ConfigError(f"there is no module {name!r}", hint=hint) from None
        raise _unimportable(name, error) from error
    except (Exception, SystemExit) as error:
        raise _unimportable(name, error) from error


def _search_first(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _unimportable(place: str, error: BaseException) -> ConfigError:
    hint = "CODIN_DEBUG=1 shows the traceback"
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"is {error.name.partition('.')[0]!r} installed in this environment ({sys.prefix})?"
    elif isinstance(error, ImportError) and "relative import" in str(error):
        hint = "the file belongs to a package; name it as package.module"
    if isinstance(error, SyntaxError) and error.filename:
        return ConfigError(f"{_short(error.filename)}:{error.lineno}: {error.msg}", hint="Python cannot read it")
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConfigError(f"{_where(place, error)}: {words}", hint=hint)


def _where(place: str, error: BaseException) -> str:
    """The deepest line in the target itself, or in what it imports beside it."""
    path = Path(place).resolve()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else f"{place!r} cannot be imported"


def _short(path: str) -> str:
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


# -- finding -----------------------------------------------------------------------------------------------------------


@dataclass
class _Findings:
    """What in a module may be served: agents, objects of frameworks, and plain functions, by their names."""

    module: ModuleType
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    functions: dict[str, FunctionType] = field(default_factory=dict[str, FunctionType])
    imported: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        own = _own_names(self.module)
        frameworks = {point.name for point in entry_points(group="codin.adapters")}
        objects: dict[str, Any] = {}
        seen: set[int] = set()
        for name, value in vars(self.module).items():
            if name.startswith("_") or inspect.isclass(value) or inspect.ismodule(value) or id(value) in seen:
                continue
            servable = _is_agent(value) or _framework_of(value) in frameworks
            if name not in own:
                self.imported += [name] if servable else []
                continue
            seen.add(id(value))
            if _is_agent(value):
                self.agents[name] = value
            elif servable:
                objects[name] = value
            elif isinstance(value, FunctionType) and value.__module__ == self.module.__name__:
                self.functions[name] = value
        self._adapt(objects)

    def _adapt(self, objects: dict[str, Any]) -> None:
        """Take the objects that an adapter makes an agent of; a framework has many others."""
        for name, value in objects.items():
            try:
                agent = as_agent(value)
                if any(agent.id == other.id for other in self.agents.values()):
                    agent = as_agent(value, name=name)  # two graphs without a name of their own
            except ConfigError as error:
                self.refused.append(f"{name}: {error.message}")
            else:
                self.agents[name] = agent

    @property
    def offered(self) -> list[str]:
        return [*self.agents, *self.functions, *self.imported]


def _find(module: ModuleType, place: str) -> list[Agent]:
    findings = _Findings(module)
    if findings.agents:
        return list(findings.agents.values())
    if len(findings.functions) == 1:
        return [FunctionAgent(function) for function in findings.functions.values()]
    if findings.functions:
        raise ConfigError(
            f"{place!r} has no agent, and {len(findings.functions)} functions that might be one: "
            f"{', '.join(findings.functions)}",
            hint=f"put @agent on those that are meant, or name one: {place}:{next(iter(findings.functions))}",
        )
    because = f" ({'; '.join(findings.refused)})" if findings.refused else ""
    hint = "put @agent on a public function, or have a compiled graph in a public name"
    if findings.imported:
        hint = f"what it imports is not taken by itself; {_listed(place, findings.imported)}"
    raise ConfigError(f"{place!r} has no agent{because}", hint=hint)


def _listed(place: str, names: Iterable[str]) -> str:
    return ", ".join(f"{place}:{name}" for name in names) and "there is " + ", ".join(
        f"{place}:{name}" for name in names
    )


def _is_agent(value: object) -> bool:
    return all(hasattr(value, member) for member in _AGENT)


def _framework_of(value: object) -> str:
    """The top-level package that the object's nearest class outside of Python and of codin comes from."""
    packages = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return next((package for package in packages if package not in {"builtins", "codin", "functools", "typing"}), "")


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
