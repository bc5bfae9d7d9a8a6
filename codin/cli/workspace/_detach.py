"""`codin up --detach`: the supervisor in the background, and waiting until everything is up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from codin.cli._terminal import errors, say
from codin.cli.workspace._folder import Workspace
from codin.cli.workspace._record import Record
from codin.cli.workspace._view import Row, showing
from codin.errors import ConfigError

__all__ = ["detached"]

_PATIENCE = 90.0  # seconds until all are up; frameworks are heavy
_LOOK = 0.1
_SETTLED = {"ready", "silent", "crashed", "refused"}


def detached(workspace: Workspace, *, reload: bool, registry: str | None, signed: bool) -> int:
    """Start the supervisor, wait until every process is ready or left alone, and say how they are.

    Returns:
        0 when all are ready, else 1.

    Raises:
        ConfigError: somebody runs the workspace already, or the supervisor has ended.
    """
    record = Record(workspace)
    record.hold().release()
    record.clear()
    command = [sys.executable, "-m", "codin.cli", "up", str(workspace.folder)]
    command += ["--reload"] * reload + ["--no-keys"] * (not signed) + ([f"--registry={registry}"] if registry else [])
    log = workspace.state / "up.log"
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as output:
        supervisor = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    rows = _await_settled(record, supervisor)
    if rows is None:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ConfigError(f"it did not come up: {said[-1] if said else 'it said nothing'}")
    if any(row["state"] != "ready" for row in rows):
        errors().print("not everything is up; codin logs shows more, codin down ends it", style="yellow")
        return 1
    say("codin ps shows it, codin down ends it", "dim")
    return 0


def _await_settled(record: Record, supervisor: subprocess.Popen[bytes]) -> Sequence[Row] | None:
    """Show the processes until nothing more happens by itself, or the time is up; None: the supervisor has ended."""
    deadline = time.monotonic() + _PATIENCE
    with showing() as view:
        while supervisor.poll() is None:
            written = record.read()
            rows: Sequence[Row] = written["processes"] if written is not None else ()
            view.update(rows)
            if (rows and all(row["state"] in _SETTLED for row in rows)) or time.monotonic() > deadline:
                return rows
            time.sleep(_LOOK)
    return None
