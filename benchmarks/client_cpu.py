"""CPU of a client per call and per streamed event. Each client talks to the same bare server on the other processor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import Server, child, cpu_reading, processors

TARGETS = {"httpx": 1.15, "asyncio": 4.0}
UNITS = {"unary": "us/call", "stream": "us/event"}


def run(plan: Plan) -> Iterator[Figure]:
    """Compare both transports with the official SDK's client, which has one (httpx), one call at a time."""
    ours, peer, traced = sides.codin(), sides.a2a_sdk(), sides.a2a_sdk(tracing=True)
    with Server(sides.floor(), "echo") as server:
        server.check_echo()
        for kind, unit in UNITS.items():
            contenders = [(ours, "httpx"), (ours, "asyncio"), (peer, "httpx"), (traced, "httpx")]
            reads = [partial(_read, side, server.url, kind, transport, plan) for side, transport in contenders]
            *mine, theirs, spanned = interleave(plan, f"client_cpu.{kind}", reads)
            for transport, readings in zip(TARGETS, mine, strict=True):
                name = f"client_cpu.{kind}.{transport}"
                yield from _compare(name, unit, readings, theirs, spanned, TARGETS[transport])


def _compare(
    name: str, unit: str, ours: list[Reading], peer: list[Reading], traced: list[Reading], target: float
) -> Iterator[Figure]:
    what = f"c=1; peer: {sides.PEER} client"
    yield compare(name, unit, ours, peer, bound=Bound("ratio", ">=", target), note=f"{what}, tracing off")
    yield compare(f"{name}.traced", unit, ours, traced, note=f"{what}, tracing on (its default)")


def _read(side: sides.Side, url: str, kind: str, transport: str, plan: Plan) -> Reading:
    return cpu_reading(child(side, side.client, url, kind, transport, str(plan.seconds), processor=processors()[1]))
