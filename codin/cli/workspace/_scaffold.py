"""What `codin new` writes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from codin import __version__
from codin.errors import ConfigError

__all__ = ["new_agent", "new_tool"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def new_agent(agents: Path, name: str) -> Sequence[Path]:
    """Write the folder of an agent. Gives its files.

    Raises:
        ConfigError: the name cannot be one, or is taken.
    """
    words = _words(name)
    folder = agents / name
    if folder.exists():
        raise ConfigError(f"{folder} is there already", hint="choose another name")
    templates = sorted(_templates("agent"), key=lambda template: template.name)
    return [_written(folder / template.name.removesuffix(".txt"), template, words) for template in templates]


def new_tool(tools: Path, name: str) -> Path:
    """Write the file of a tool.

    Raises:
        ConfigError: the name cannot be one, or is taken.
    """
    words = _words(name)
    path = tools / f"{words['function']}.py"
    if path.exists():
        raise ConfigError(f"{path} is there already", hint="choose another name")
    (template,) = _templates("tool")
    return _written(path, template, words)


def _words(name: str) -> Mapping[str, str]:
    function = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(function):
        raise ConfigError(f"{name!r} cannot be a name here", hint="use small letters, digits and -, e.g. word-count")
    return {"name": name, "function": function, "version": __version__}


def _templates(what: str) -> Sequence[Traversable]:
    return list((files("codin.cli.workspace") / "templates" / what).iterdir())


def _written(path: Path, template: Traversable, words: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(template.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
    return path
