"""Durable `SendMessage`: tasks on SQLite on both sides, at the same `PRAGMA synchronous`, loaded by wrk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import Server
from benchmarks.rig.wrk import burst, in_bursts, require_wrk

LEVELS = ("normal", "full")
CONCURRENCIES = (1, 16)
TARGET = 15


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the SDK's DatabaseTaskStore as it comes, and with its journal put to WAL, which codin uses too."""
    require_wrk()
    for level in LEVELS:
        with tempfile.TemporaryDirectory(prefix="codin-bench-") as folder, ExitStack() as stack:
            yield from _compare(plan, level, Path(folder), stack)


def _compare(plan: Plan, level: str, folder: Path, stack: ExitStack) -> Iterator[Figure]:
    peer = sides.a2a_sdk(database=True)
    servers = [
        stack.enter_context(Server(side, "echo", f"sqlite:///{folder / file}?synchronous={level}{extra}"))
        for side, file, extra in (
            (sides.codin(), "ours.db", ""),
            (peer, "peer.db", ""),
            (peer, "peer-wal.db", "&journal=wal"),
        )
    ]
    for server in servers:
        server.check_echo()
    for connections in CONCURRENCIES:
        name = f"sqlite_unary.{level}.c{connections}"
        ours, theirs, wal = interleave(
            in_bursts(plan), name, [partial(_rate, server, connections) for server in servers]
        )
        rated = partial(compare, unit="calls/s", ours=ours, direction="ours/peer", higher_is_better=True)
        what = f"synchronous={level.upper()} on both sides; peer: {sides.PEER} DatabaseTaskStore, tracing off, journal"
        yield rated(name, peer=theirs, bound=Bound("ratio", ">=", TARGET), note=f"{what} as it comes")
        yield rated(f"{name}.wal", peer=wal, note=f"{what} WAL as ours")


def _rate(server: Server, connections: int) -> Reading:
    rate = burst(server, connections).rate
    return Reading(rate, rate)
