"""Seconds from starting the server's process to its first answered `SendMessage`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import Server


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK without its database extra, both under uvicorn."""
    contenders = [sides.codin(), sides.a2a_sdk()]
    for side in contenders:
        _read(side)  # the first start writes byte code and fills the disk cache
    ours, peer = interleave(plan, "cold_start", [partial(_read, side) for side in contenders])
    yield compare(
        "cold_start", "s", ours, peer, bound=Bound("ours", "<=", 0.8), note=f"peer: {sides.PEER}, tracing off"
    )


def _read(side: sides.Side) -> Reading:
    with Server(side, "echo") as server:
        server.check_echo()
        seconds = time.perf_counter() - server.spawned
    return Reading(seconds, seconds)
