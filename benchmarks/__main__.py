"""`python -m benchmarks [--json] [--rounds N] [--quick] [--check] [NAME …]`"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterator, Sequence

from benchmarks.rig.figure import Figure, unmeasured
from benchmarks.rig.plan import Plan, Unavailable, clear_progress

BENCHMARKS = {
    "unary_cpu": "benchmarks.unary_cpu",
    "stream_cpu": "benchmarks.stream_cpu",
    "unary_http": "benchmarks.unary_http",
    "idle_streams": "benchmarks.idle_streams",
    "import": "benchmarks.import_time",
    "cold_start": "benchmarks.cold_start",
    "sqlite_unary": "benchmarks.sqlite_unary",
    "client_cpu": "benchmarks.client_cpu",
    "adapter_overhead": "benchmarks.adapter_overhead",
    "signed_cards": "benchmarks.signed_cards",
    "tracing": "benchmarks.tracing",
    "mesh_call": "benchmarks.mesh_call",
    "registry_search": "benchmarks.registry_search",
    "verified_call": "benchmarks.verified_call",
    "sandbox": "benchmarks.sandbox",
    "tool_call": "benchmarks.tool_call",
    "memory_append": "benchmarks.memory_append",
    "memory_vectors": "benchmarks.memory_vectors",
    "memory_hybrid": "benchmarks.memory_hybrid",
    "memory_ingest": "benchmarks.memory_ingest",
    "memory_servers": "benchmarks.memory_servers",
}


def main() -> int:
    """Run the wanted benchmarks; 0 when each ran (and, with --check, each promise held)."""
    options = _options()
    plan = Plan(options.rounds or 2, 0.7, quick=True) if options.quick else Plan(options.rounds or 5, 2.0)
    print(_machine(), file=sys.stderr)
    figures: list[Figure] = []
    failed: list[str] = []
    for name in options.names or BENCHMARKS:
        try:
            for figure in _run(name, plan):
                clear_progress()
                figures.append(figure)
                if options.json:
                    print(json.dumps(figure.to_dict()), flush=True)
        except Exception:
            clear_progress()
            traceback.print_exc()
            failed.append(name)
    if not options.json:
        _print_table(figures)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    missed = [figure.name for figure in figures if figure.met is False]
    if missed:
        print(f"promise not kept: {', '.join(missed)}", file=sys.stderr)
    return 1 if failed or (options.check and missed) else 0


def _run(name: str, plan: Plan) -> Iterator[Figure]:
    try:
        yield from importlib.import_module(BENCHMARKS[name]).run(plan)
    except Unavailable as missing:
        clear_progress()
        print(f"{name}: {missing}", file=sys.stderr)
        yield unmeasured(name, str(missing))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure codin beside its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all when none is given"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line as soon as it is known")
    parser.add_argument("--rounds", type=int, help="how often each side has its turn (5; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="short rounds: to see that everything runs, not to quote")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise is not kept")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"unknown benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors{load}"


def _print_table(figures: Sequence[Figure]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "ours", "peer", "ratio", "unit", "promised", "kept")
    table.columns[0].no_wrap = True
    for column in table.columns[1:4]:
        column.justify = "right"
    for figure in figures:
        kept = "" if figure.met is None else "[green]yes[/]" if figure.met else "[red]no[/]"
        values = (_number(figure.ours), _number(figure.peer), _number(figure.ratio))
        table.add_row(figure.name, *values, figure.unit, figure.bound, kept)
    console = Console(highlight=False)
    console.width = max(console.width, 110)  # a pipe has no width, and rich would squeeze the columns into 80
    console.print(table)
    for figure in figures:
        console.print(f"[bold]{figure.name}[/]  [dim]{figure.note}[/]", soft_wrap=True)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
