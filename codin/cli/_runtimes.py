"""`codin runtimes`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import anyio
import click

from codin.cli._exits import Exit
from codin.cli._terminal import plain, results, write

__all__ = ["runtimes"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runtimes(as_json: bool) -> int:
    """Show where workloads can run, and in which sandboxes: what is here, what it does not keep, what is missing."""
    found = anyio.run(_look)
    if as_json:
        write(json.dumps(found) + "\n")
    else:
        _show("SANDBOX", found["sandboxes"])
        results().print()
        _show("RUNTIME", found["runtimes"])
    return Exit.OK


async def _look() -> dict[str, list[dict[str, Any]]]:
    from codin.runtime import runtimes as all_runtimes
    from codin.sandbox import sandbox_kinds

    return {
        "sandboxes": [await _sandbox(kind) for kind in sandbox_kinds()],
        "runtimes": [await _runtime(name) for name in all_runtimes()],
    }


async def _sandbox(kind: str) -> dict[str, Any]:
    from codin.errors import SandboxError
    from codin.sandbox import Policy, sandbox_of

    try:
        sandbox = sandbox_of(kind, Policy(demands=frozenset()))
        await sandbox.check()
    except SandboxError as error:
        return {"name": kind, "here": False, "why": str(error)}
    return {"name": kind, "here": True, "unenforced": sorted(sandbox.unenforced)}


async def _runtime(name: str) -> dict[str, Any]:
    from codin.errors import RuntimeUnavailable
    from codin.runtime import runtime_of

    try:
        async with runtime_of(name) as runtime:
            kinds = sorted(runtime.kinds)
            reason = await runtime.missing(_smallest(kinds))
    except RuntimeUnavailable as error:
        return {"name": name, "here": False, "why": str(error)}
    lacks: dict[str, str] = {}
    if "function" in kinds and find_spec("cloudpickle") is None:  # which sends it from here, wherever it runs
        kinds.remove("function")
        lacks["function"] = "pip install 'codin[runtime]'"
    told = {"why": reason, "lacks": lacks}
    return {"name": name, "here": not reason, "runs": kinds, **{key: word for key, word in told.items() if word}}


def _smallest(kinds: Sequence[str]) -> Any:
    """A workload that asks for nothing, of a kind that the runtime knows."""
    from codin.runtime import Command, Endpoint, Function

    if "command" in kinds:
        return Command(["true"])
    return Function(int) if "function" in kinds else Endpoint("https://example.com")


def _show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (title, "HERE", "RUNS" if title == "RUNTIME" else "DOES NOT KEEP"):
        table.add_column(column, overflow="fold")
    for row in rows:
        told = row.get("why") or ", ".join(row.get("runs") or row.get("unenforced") or ())
        told += "".join(f"; {kind}: {hint}" for kind, hint in row.get("lacks", {}).items())
        here = Text("yes", "green") if row["here"] else Text("no", "dim")
        table.add_row(plain(row["name"]), here, Text(plain(told), "" if row["here"] else "dim"))
    results().print(table)
