"""CPU per event of a stream, in process. The agent yields to the loop after each chunk; one body write per event."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading

SHORT, LONG = 100, 4_000
_CLOSING = "closing update on"


def run(plan: Plan) -> Iterator[Figure]:
    """Compare with the official SDK at 100 chunks, and ourselves at 4,000 chunks with ourselves at 100."""
    ours, peer, traced, floor, long = interleave(
        plan,
        "stream_cpu",
        [
            partial(_read, sides.codin(), plan, SHORT),
            partial(_read, sides.a2a_sdk(), plan, SHORT),
            partial(_read, sides.a2a_sdk(tracing=True), plan, SHORT),
            partial(_read, sides.floor(), plan, SHORT),
            partial(_read, sides.codin(), plan, LONG),
        ],
    )
    rated = partial(compare, unit="us/event")
    what = f"{SHORT} chunks, one body write per event, {_CLOSING}; peer:"
    bound = Bound("ratio", ">=", 11)
    yield rated("stream_cpu", ours=ours, peer=peer, bound=bound, note=f"{what} {sides.PEER}, tracing off")
    yield rated("stream_cpu.traced", ours=ours, peer=traced, note=f"{what} {sides.PEER}, tracing on (its default)")
    bare = f"{what} a bare ASGI response with the json module"
    yield rated("stream_cpu.floor", ours=ours, peer=floor, direction="ours/peer", note=bare)
    yield rated(
        "stream_cpu.flat",
        ours=long,
        peer=ours,
        direction="ours/peer",
        bound=Bound("ratio", "<=", 1.3),
        note=f"ours: codin at {LONG:,} chunks, peer: codin at {SHORT}; {_CLOSING}",
    )
    if not plan.quick:
        once = Plan(1, plan.seconds)
        (heavy,) = interleave(once, "stream_cpu.long", [partial(_read, sides.a2a_sdk(), plan, LONG)])
        note = f"{LONG:,} chunks, one round; peer: {sides.PEER}, tracing off"
        yield rated("stream_cpu.long", ours=long[:1], peer=heavy, note=note)


def _read(side: sides.Side, plan: Plan, chunks: int) -> Reading:
    arguments = (side.server, "stream", "--chunks", str(chunks), "--seconds", str(plan.seconds))
    return cpu_reading(child(side, "benchmarks.rig.asgi", *arguments))
