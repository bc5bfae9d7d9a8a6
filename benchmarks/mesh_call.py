"""CPU of `mesh.call(name, …)` beside `connect(url).send(…)`: what names, routing, breaker and bulkhead cost a call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import Server, child, cpu_reading, processors

TARGET = 1.1
MESH = "benchmarks.ours.mesh"


def run(plan: Plan) -> Iterator[Figure]:
    """Compare on both transports; for orientation also with two replicas, of which each call chooses one."""
    ours = sides.codin()
    with Server(sides.floor(), "echo") as server:
        server.check_echo()
        both = f"{server.url},{server.url.replace('127.0.0.1', 'localhost')}"
        for transport in ("asyncio", "httpx"):
            contenders = [(MESH, server.url), (MESH, both), (ours.client, server.url)]
            reads = [partial(_read, ours, module, url, transport, plan) for module, url in contenders]
            name = f"mesh_call.{transport}"
            one, two, plain = interleave(plan, name, reads)
            rated = partial(compare, unit="us/call", direction="ours/peer", peer=plain)
            bound = Bound("ratio", "<=", TARGET)
            yield rated(name, ours=one, bound=bound, note="c=1; ours: mesh.call, peer: connect().send")
            yield rated(f"{name}.two", ours=two, note="as above, with two replicas")


def _read(side: sides.Side, module: str, url: str, transport: str, plan: Plan) -> Reading:
    return cpu_reading(child(side, module, url, "unary", transport, str(plan.seconds), processor=processors()[1]))
