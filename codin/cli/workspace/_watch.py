"""`codin up --reload`: files that change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from importlib.util import find_spec
from pathlib import Path

from codin.cli._manifest import NAME
from codin.cli.workspace._folder import AGENTS, TOOLS, Workspace
from codin.errors import ConfigError

__all__ = ["changes_of", "need_watchfiles"]


def need_watchfiles() -> None:
    """Raise ConfigError when there is nothing to watch with."""
    if find_spec("watchfiles") is None:
        raise ConfigError("--reload needs watchfiles, which is not installed", hint="pip install 'codin[cli]'")


async def changes_of(workspace: Workspace) -> AsyncGenerator[set[Path]]:
    """The files of agents and tools that have changed, several at a time, for ever."""
    from watchfiles import Change, DefaultFilter, awatch  # pyright: ignore[reportUnknownVariableType]  trio is not installed

    class Code(DefaultFilter):
        def __call__(self, change: Change, path: str) -> bool:
            # What is put into a new folder at once may come before anybody watches there, so the folder itself counts.
            fits = path.endswith((".py", f"/{NAME}")) or Path(path).parent == agents
            return fits and super().__call__(change, path)

    agents = workspace.folder / AGENTS
    folders = [place for place in (agents, workspace.folder / TOOLS) if place.is_dir()]
    async for changes in awatch(*folders, watch_filter=Code()):
        yield {Path(path) for _, path in changes}
