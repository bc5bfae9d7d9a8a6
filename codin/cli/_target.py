"""From what a person types to agents: `path.py`, `path.py:name`, `package.module`, `package.module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from codin.agent import Agent, as_agent
from codin.agent._adapt import extras
from codin.agent._quiet import quiet
from codin.cli._findings import find_agents, offered
from codin.cli._terminal import say
from codin.errors import CodinError, ConfigError

__all__ = ["load_agents", "load_function", "source_folders"]

_NAMESPACES = {"google": "google.adk"}  # top-level packages of more than the framework, and where in them it is
_FILE = re.compile(r"(?P<place>.+\.py)(?::(?P<name>.*))?", re.DOTALL)


def load_agents(targets: Sequence[str], *, serving: bool = False) -> list[Agent]:
    """The agents that the targets name, each once, in their order.

    Args:
        serving: say so on standard error when a target that names none has several.

    Raises:
        ConfigError: a target cannot be imported, or it is not clear which agent is meant.
    """
    found: list[Agent] = []
    for target in targets:
        agents = _agents_of(target)
        found += agents.values()
        if serving and len(agents) > 1:
            one = f"codin serve {target}:{next(iter(agents))}"
            say(f"serving {len(agents)} agents of {target}: {', '.join(agents)}; one alone: {one}", "dim")
    return list({id(agent): agent for agent in found}.values())


def load_function(target: str) -> Callable[..., Any]:
    """The function that a target names.

    Raises:
        ConfigError: there is none.
    """
    place, name = _split(target)
    if name is None:
        raise ConfigError(f"{target!r} names no function", hint="write path.py:name, or package.module:name")
    found = _member(_load(place), place, name)
    if not callable(found):
        raise ConfigError(f"{target!r} is no function")
    return found


def source_folders(targets: Sequence[str]) -> list[Path]:
    """Where the code of the targets is: the folders of the files, and the working directory for modules."""
    places = [_split(target)[0] for target in targets]
    return sorted({Path(place).resolve().parent if place.endswith(".py") else Path.cwd() for place in places})


def _agents_of(target: str) -> dict[str, Agent]:
    """By their names in the module."""
    place, name = _split(target)
    module = _load(place)
    return find_agents(module, place) if name is None else {name: as_agent(_member(module, place, name))}


def _load(place: str) -> ModuleType:
    quiet()
    with _serving_nothing():
        return _load_file(place) if place.endswith(".py") else _load_module(place)


def _member(module: ModuleType, place: str, name: str) -> Any:
    found: Any = module
    for step in name.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            raise ConfigError(f"{place!r} has no {name!r}", hint=offered(module, place) or None) from None
    return found


def _split(target: str) -> tuple[str, str | None]:
    if match := _FILE.fullmatch(target):
        place, name = match["place"], match["name"]
    else:
        place, colon, rest = target.partition(":")
        name = rest if colon else None
        if not all(part.isidentifier() for part in place.split(".")):
            raise ConfigError(
                f"{target!r} is no target", hint="write path.py, path.py:name, package.module or package.module:name"
            )
    if name is not None and not all(part.isidentifier() for part in name.split(".")):
        hint = "a URL begins with http:// or https://" if name.isdecimal() else "write path.py:name"
        raise ConfigError(f"{target!r} is no target: {name!r} is no name in Python", hint=hint)
    return place, name


# -- importing ---------------------------------------------------------------------------------------------------------


def _load_file(place: str) -> ModuleType:
    """Import a file by its path, under its own name where that is free, and never as `__main__`."""
    path = Path(place).resolve()
    if not path.is_file():
        raise ConfigError(f"there is no file {place!r}", hint="the path is relative to where you are")
    _search_first(path.parent)
    name = path.stem
    while name in sys.modules or name in sys.stdlib_module_names:
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known
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


@contextmanager
def _serving_nothing() -> Generator[None]:
    """Refuse `codin.serve` meanwhile: it would not return, and the file be served with settings nobody has typed."""

    def serve(*_: object, **__: object) -> NoReturn:
        hint = 'put the call under `if __name__ == "__main__":`, where only `python FILE` finds it'
        raise ConfigError("codin.serve is called while the file is imported", hint=hint)

    import codin.server

    homes = [codin.__dict__, codin.server.__dict__]
    known = [home.get("serve") for home in homes]
    for home in homes:
        home["serve"] = serve
    try:
        yield
    finally:
        for home, function in zip(homes, known, strict=True):
            home.pop("serve")  # it is found again when it is used
            home.update({"serve": function} if function is not None else {})


def _unimportable(place: str, error: BaseException) -> ConfigError:
    hint = "CODIN_DEBUG=1 shows the traceback"
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = _missing(error.name)
    elif isinstance(error, ImportError) and "relative import" in str(error):
        hint = "the file belongs to a package; name it as package.module"
    elif isinstance(error, TypeError) and str(error) == "'module' object is not callable" and _calls_agent(error):
        hint = "codin.agent is a module; the decorator in it: from codin.agent import agent"
    if isinstance(error, SyntaxError) and error.filename:
        return ConfigError(f"{_short(error.filename)}:{error.lineno}: {error.msg}", hint="Python cannot read it")
    if isinstance(error, CodinError):
        return ConfigError(f"{_where(place, error)}: {error.message}", hint=error.hint)
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConfigError(f"{_where(place, error)}: {words}", hint=hint)


def _calls_agent(error: TypeError) -> bool:
    """Whether it came of `@agent` or `@codin.agent`, where `agent` is the module."""
    line = traceback.extract_tb(error.__traceback__)[-1].line
    return re.search(r"\bagent\b", line or "") is not None


def _missing(module: str) -> str:
    for framework, extra in extras().items():
        package = _NAMESPACES.get(framework, framework)
        if f"{module}.".startswith(f"{package}.") or package.startswith(f"{module}."):
            return f"pip install 'codin[{extra}]' brings {package}; --python PATH takes an environment that has it"
    return f"is {module.partition('.')[0]!r} installed in this environment ({sys.prefix})?"


def _where(place: str, error: BaseException) -> str:
    """The deepest line in the target itself, or in what it imports beside it."""
    path = Path(place).resolve()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else f"{place!r} cannot be imported"


def _short(path: str) -> str:
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
