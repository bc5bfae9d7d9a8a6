"""CPU of one `SendMessage`, in process: no socket, no HTTP parser, only what is between an ASGI call and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK, without and with its tracing, with a bare endpoint, and with the other binding."""
    contenders = [sides.codin(), sides.a2a_sdk(), sides.a2a_sdk(tracing=True), sides.floor()]
    reads = [partial(_read, side, "unary", plan) for side in contenders]
    *answers, resources = interleave(plan, "unary_cpu", [*reads, partial(_read, sides.codin(), "rest", plan)])
    ours, peer, traced, floor = ([cpu_reading(answer) for answer in side] for side in answers)
    # A minimum shows no garbage collection, and a server that keeps tasks has some.
    our_mean, peer_mean, _, floor_mean = (min(answer["mean"] for answer in side) for side in answers)
    rated = partial(compare, unit="us/call", ours=ours)
    note = f"means with garbage collection {our_mean:.0f} and {peer_mean:.0f} us; peer: {sides.PEER}, tracing off"
    yield rated("unary_cpu", peer=peer, bound=Bound("ratio", ">=", 18), note=note)
    yield rated("unary_cpu.traced", peer=traced, note=f"peer: {sides.PEER}, tracing on (its default)")
    yield rated(
        "unary_cpu.floor",
        peer=floor,
        direction="ours/peer",
        bound=Bound("ratio", "<=", 2.0),
        note=f"means {our_mean:.0f} and {floor_mean:.0f} us; peer: a bare Starlette endpoint with the json module",
    )
    yield compare(
        "unary_cpu.rest",
        "us/call",
        [cpu_reading(answer) for answer in resources],
        ours,
        direction="ours/peer",
        bound=Bound("ratio", "<=", 1.1),
        note="codin over HTTP+JSON; peer: codin over JSON-RPC",
    )


def _read(side: sides.Side, kind: str, plan: Plan) -> dict[str, Any]:
    return child(side, "benchmarks.rig.asgi", side.server, kind, "--seconds", str(plan.seconds))
