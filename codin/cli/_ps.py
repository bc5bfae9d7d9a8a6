"""`codin ps`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from codin.cli._terminal import results, say
from codin.cli.workspace._folder import Workspace
from codin.cli.workspace._record import Record

__all__ = ["ps"]


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what is up, and each process.")
def ps(folder: str | None, as_json: bool) -> int:
    """Show the processes of a workspace.

    Without FOLDER, the nearest workspace from here upward.
    """
    workspace = Workspace.find(folder)
    record = Record(workspace)
    written = record.read()
    running = record.holder() is not None
    if as_json:
        shown: Mapping[str, Any] = {"workspace": str(workspace.folder), "processes": []}
        if running and written is not None:
            shown = written
        sys.stdout.write(json.dumps({"up": running, **shown}, ensure_ascii=False, indent=2) + "\n")
    elif running and written is not None:
        from codin.cli.workspace._view import overview

        results().print(overview(written["processes"]))
    elif written is not None:
        say(f"process {written['supervisor']} is gone, and its agents with it; codin down clears what it left")
    else:
        say(f"nothing is up in {workspace.folder}")
    return 0
