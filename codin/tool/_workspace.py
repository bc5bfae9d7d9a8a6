"""The tools of the workspace that this process belongs to: every tool that a file in its folder `tools` makes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from codin.errors import ConfigError
from codin.tool._protocol import Tool

__all__ = ["Broken", "tools_of_folder", "workspace_folder", "workspace_tools"]

Broken: TypeAlias = Callable[[ConfigError], object]
"""Takes why some tools are left out, where that is no reason to do without the others."""


def workspace_tools() -> Mapping[str, Tool]:
    """The tools by name; empty where there are none.

    `codin up` says by the environment variable CODIN_TOOLS where the folder is. Without it, it is the one beside the
    nearest folder `agents`, from the working directory upward. The files are imported at the first call, in this
    process, and may import each other; those that begin with `_` are left to the others. A tool is what has `name`,
    `spec` and `invoke`, under a public name of its file, such as a function with `@tool`; plain functions and classes
    are not made tools.

    Raises:
        ConfigError: a file cannot be imported, or two tools have one name.
    """
    return {tool.name: tool for tool, _ in tools_of_folder(None)}


def tools_of_folder(folder: str | Path | None, broken: Broken | None = None) -> Sequence[tuple[Tool, Path]]:
    """The tools in a folder, without one in that of the workspace, and the file that each is made in.

    Args:
        broken: takes the error of a file that cannot be imported, or repeats a name; without it, that is raised.
    """
    if folder is None:
        folder = workspace_folder()
        if folder is None or not folder.is_dir():
            return ()
    elif not (folder := Path(folder)).is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}")
    found: dict[str, tuple[Tool, Path]] = {}
    for path in sorted(folder.resolve().glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            found = _with(found, path)
        except ConfigError as error:
            if broken is None:
                raise
            broken(error)
    return tuple(found.values())


def workspace_folder() -> Path | None:
    """The folder of the workspace that this process belongs to, which need not be there; None without a workspace."""
    if named := os.environ.get("CODIN_TOOLS"):
        return Path(named)
    here = Path.cwd()
    return next((place / "tools" for place in (here, *here.parents) if (place / "agents").is_dir()), None)


def _with(found: Mapping[str, tuple[Tool, Path]], path: Path) -> dict[str, tuple[Tool, Path]]:
    more = dict(found)
    for tool in _tools_of(path):
        other, place = more.setdefault(tool.name, (tool, path))
        if other is not tool:
            raise ConfigError(f"{path} and {place} both make a tool {tool.name!r}")
    return more


@cache
def _tools_of(path: Path) -> Sequence[Tool]:
    """What a file makes. Raises ConfigError when it cannot be imported, and then tries again the next time."""
    public = [value for name, value in vars(_imported(path)).items() if not name.startswith("_")]
    return [value for value in public if not inspect.isclass(value) and isinstance(value, Tool)]


def _imported(path: Path) -> ModuleType:
    """The module of a file: the one that a file beside it gets, which imports it by its name.

    Its folder is searched last, so that a tool in `calendar.py` is in nobody's way. Where the name is another module's,
    it gets one that nothing else has.
    """
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)
    try:
        if _leads_to(path):
            return importlib.import_module(path.stem)
        name = f"codin_workspace_tool_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"the tools in {path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _leads_to(path: Path) -> bool:
    """Whether the name of a file is its module's."""
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError):  # a name with a point in it; a module that was made by hand
        return False
    return spec is not None and spec.origin == str(path)
