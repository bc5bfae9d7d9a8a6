"""CPU of one `SendMessage`, in process: no socket, no HTTP parser, only what is between an ASGI call and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK, without and with its tracing, and with a bare endpoint."""
    contenders = [sides.codin(), sides.a2a_sdk(), sides.a2a_sdk(tracing=True), sides.floor()]
    ours, peer, traced, floor = interleave(plan, "unary_cpu", [partial(_read, side, plan) for side in contenders])
    rated = partial(compare, unit="us/call", ours=ours)
    yield rated("unary_cpu", peer=peer, bound=Bound("ratio", ">=", 18), note=f"peer: {sides.PEER}, tracing off")
    yield rated("unary_cpu.traced", peer=traced, note=f"peer: {sides.PEER}, tracing on (its default)")
    yield rated(
        "unary_cpu.floor",
        peer=floor,
        direction="ours/peer",
        bound=Bound("ratio", "<=", 2.0),
        note="peer: a bare Starlette endpoint with the json module",
    )


def _read(side: sides.Side, plan: Plan) -> Reading:
    return cpu_reading(child(side, "benchmarks.rig.asgi", side.server, "unary", "--seconds", str(plan.seconds)))
