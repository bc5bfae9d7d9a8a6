"""Requests per second of `SendMessage` under uvicorn, loaded by wrk from the other processor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import Server, processors
from benchmarks.rig.wrk import Burst, burst, in_bursts, require_wrk

TARGETS = {1: 6, 16: 12, 64: 15}
TAIL_TARGET = 5


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK at every concurrency; for orientation also traced, and with a bare endpoint."""
    require_wrk()
    contenders = [sides.codin(), sides.a2a_sdk(), sides.a2a_sdk(tracing=True), sides.floor()]
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(side, "echo")) for side in contenders]
        for server in servers:
            server.check_echo()
            burst(server, 16)
        for connections, target in TARGETS.items():
            yield from _compare(plan, servers, connections, target)


def _compare(plan: Plan, servers: list[Server], connections: int, target: float) -> Iterator[Figure]:
    name = f"unary_http.c{connections}"
    bursts = interleave(in_bursts(plan), name, [partial(burst, server, connections) for server in servers])
    ours, peer, traced, floor = ([_rate(one) for one in side] for side in bursts)
    pinned = "" if processors()[0] is not None else "; not pinned: this machine has no two processors to keep apart"
    rated = partial(compare, unit="calls/s", ours=ours, direction="ours/peer", higher_is_better=True)
    note = f"{_cpu(bursts)}peer: {sides.PEER}, tracing off{pinned}"
    yield rated(name, peer=peer, bound=Bound("ratio", ">=", target), note=note)
    yield rated(f"{name}.traced", peer=traced, note=f"peer: {sides.PEER}, tracing on (its default)")
    yield rated(f"{name}.floor", peer=floor, note="peer: a bare Starlette endpoint with the json module")
    yield compare(
        f"{name}.p99",
        "ms",
        [_tail(one) for one in bursts[0]],
        [_tail(one) for one in bursts[1]],
        bound=Bound("ratio", ">=", TAIL_TARGET) if connections == max(TARGETS) else None,
        note=f"99th percentile, best burst; peer: {sides.PEER}, tracing off",
    )


def _cpu(bursts: list[list[Burst]]) -> str:
    """The servers' CPU per call: what is left of the figure when the wall clock is too noisy to believe."""
    least = [min((one.cpu for one in side if one.cpu is not None), default=None) for side in bursts]
    ours, peer, _, floor = least
    if ours is None or peer is None or floor is None:
        return ""
    return f"server CPU per call {ours:.0f} us, peer {peer:.0f} us, bare endpoint {floor:.0f} us; "


def _rate(one: Burst) -> Reading:
    return Reading(one.rate, one.rate)


def _tail(one: Burst) -> Reading:
    return Reading(one.p99, one.p99)
