"""The tools of the workspace that this process belongs to: every tool that a file in its folder `tools` makes."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from codin.errors import ConfigError
from codin.tool._protocol import Tool

__all__ = ["tools_of_folder", "workspace_folder", "workspace_tools"]


def workspace_tools() -> Mapping[str, Tool]:
    """The tools by name; empty where there are none.

    `codin up` says by the environment variable CODIN_TOOLS where the folder is. Without it, it is the one beside the
    nearest folder `agents`, from the working directory upward. The files are imported at the first call, in this
    process; those that begin with `_` are left alone. A tool is what has `name`, `spec` and `invoke`, under a public
    name of its file, such as a function with `@tool`; plain functions and classes are not made tools.

    Raises:
        ConfigError: a file cannot be imported, or two tools have one name.
    """
    return {tool.name: tool for tool, _ in tools_of_folder(None)}


def tools_of_folder(folder: str | Path | None) -> Sequence[tuple[Tool, Path]]:
    """The tools in a folder, without one in that of the workspace, and the file that each is made in."""
    if folder is None:
        folder = workspace_folder()
        if folder is None or not folder.is_dir():
            return ()
    elif not (folder := Path(folder)).is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}")
    return _tools_in(folder.resolve())


def workspace_folder() -> Path | None:
    """The folder of the workspace that this process belongs to, which need not be there; None without a workspace."""
    if named := os.environ.get("CODIN_TOOLS"):
        return Path(named)
    here = Path.cwd()
    return next((place / "tools" for place in (here, *here.parents) if (place / "agents").is_dir()), None)


@cache
def _tools_in(folder: Path) -> Sequence[tuple[Tool, Path]]:
    found: dict[str, tuple[Tool, Path]] = {}
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        for tool in _tools_of(_imported(path)):
            other, place = found.setdefault(tool.name, (tool, path))
            if other is not tool:
                raise ConfigError(f"{path} and {place} both make a tool {tool.name!r}")
    return tuple(found.values())


def _imported(path: Path) -> ModuleType:
    """The module of a file, under a name that nothing else has."""
    name = f"codin_workspace_tool_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"the tools in {path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _tools_of(module: ModuleType) -> Iterator[Tool]:
    for name, value in vars(module).items():
        if not name.startswith("_") and not inspect.isclass(value) and isinstance(value, Tool):
            yield value
