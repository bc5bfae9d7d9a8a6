"""A workspace: a folder with agents in it, and the place where what runs there is written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codin.cli._manifest import NAME
from codin.errors import ConfigError

__all__ = ["AGENTS", "STATE", "TOOLS", "Workspace"]

AGENTS, TOOLS, STATE = "agents", "tools", ".codin"


class Workspace:
    """A folder with a folder `agents` in it.

    Args:
        folder: the workspace, as an absolute path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def find(cls, folder: str | None) -> Workspace:
        """The workspace in a folder; without one, the nearest from here upward.

        Raises:
            ConfigError: there is none.
        """
        here = Path(folder or ".").resolve()
        for place in [here] if folder is not None else [here, *here.parents]:
            if (place / AGENTS).is_dir():
                return cls(place)
        raise ConfigError(
            f"{str(here)!r} is no workspace: it has no folder {AGENTS!r}", hint="codin new agent hello makes one"
        )

    @property
    def agents(self) -> Sequence[Path]:
        """The folders of the agents, by name."""
        places = sorted((self.folder / AGENTS).iterdir())
        return [place for place in places if (place / NAME).is_file() or (place / "agent.py").is_file()]

    @property
    def tools(self) -> Sequence[Path]:
        """The files of the tools, by name."""
        return sorted(path for path in (self.folder / TOOLS).glob("*.py") if not path.name.startswith("_"))

    @property
    def state(self) -> Path:
        """The folder for what codin writes; `prepare` makes it."""
        return self.folder / STATE

    def prepare(self) -> None:
        """Make the folder for what codin writes: for its owner alone, and not for git.

        Raises:
            ConfigError: that is not possible.
        """
        logs = self.state / "logs"
        try:
            for place in (self.state, logs):
                place.mkdir(mode=0o700, exist_ok=True)
            (self.state / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{logs} cannot be written: {error.strerror}") from None

    def log(self, name: str) -> Path:
        """The log of one of its processes."""
        return self.state / "logs" / f"{name}.log"
