"""What `codin up` writes down of itself, and who may: one at a time in a workspace."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from codin.cli.workspace._folder import Workspace
from codin.errors import ConfigError, StoreInUse
from codin.task.stores._file_lock import FileLock

__all__ = ["Record"]

_TRIES, _LOOK = 5, 0.02  # who asks whether there is one holds the lock for a moment


class Record:
    """`up.json` and `up.lock` of a workspace with a supervisor. The lock says whether there is one: it dies with it."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.state / "up.json"
        self._place = workspace.state / "up.lock"
        self._workspace = workspace

    def hold(self) -> FileLock:
        """Become the supervisor of the workspace.

        Raises:
            ConfigError: there is one.
        """
        self._workspace.prepare()
        for _ in range(_TRIES):
            try:
                return FileLock(self._place)
            except StoreInUse:
                time.sleep(_LOOK)
        hint = "codin ps shows it, codin down ends it"
        raise ConfigError(f"{self._workspace.folder} is up already (process {self.holder()})", hint=hint)

    def holder(self) -> int | None:
        """The process id of the supervisor; None when there is none."""
        try:
            with self._place.open(encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(self._place.read_text(encoding="ascii").strip() or 0)
        except FileNotFoundError:
            pass
        return None

    def write(self, record: Mapping[str, Any]) -> None:
        """Write it down, for the owner alone, and never half."""
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=2, ensure_ascii=False)
        fresh.replace(self._path)

    def read(self) -> Mapping[str, Any] | None:
        """What is written down; None when nothing is."""
        try:
            record: Mapping[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return record

    def processes(self) -> Sequence[Mapping[str, Any]]:
        """What is written down of each process, while there is a supervisor; else nothing."""
        written = self.read()
        return written["processes"] if written is not None and self.holder() is not None else ()

    def clear(self) -> None:
        """There is nothing more to write down."""
        self._path.unlink(missing_ok=True)
