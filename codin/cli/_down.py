"""`codin down`."""

from __future__ import annotations

import os
import signal
import time

import click

from codin.cli._exits import Exit
from codin.cli._terminal import say
from codin.cli.workspace._folder import Workspace
from codin.cli.workspace._record import Record

__all__ = ["down"]

_PATIENCE = 40.0  # seconds; the supervisor itself waits less for its processes
_LOOK = 0.05


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
def down(folder: str | None) -> int:
    """End what `codin up` runs in a workspace, once running tasks are done.

    Without FOLDER, the nearest workspace from here upward.
    """
    workspace = Workspace.find(folder)
    record = Record(workspace)
    supervisor = record.holder()
    if supervisor is None:
        left = record.read()
        record.clear()
        if left is None:
            say(f"nothing is up in {workspace.folder}")
        else:
            say(f"process {left['supervisor']} was gone already, and its agents with it; its record is cleared")
        return 0
    os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while record.holder() is not None:
        if time.monotonic() > deadline:
            say(f"process {supervisor} has not ended yet; `kill -9 {supervisor}` ends it and its agents at once", "red")
            return Exit.PEER
        time.sleep(_LOOK)
    say(f"{workspace.folder} is down")
    return 0
