"""What it costs that a request can be traced: nothing while nobody does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading


def run(plan: Plan) -> Iterator[Figure]:
    """CPU of one `SendMessage` in process: not traced beside an app without tracing; traced beside the official SDK."""
    contenders = [*map(_codin, ("off", "never", "on")), sides.a2a_sdk(tracing=True)]
    answers = interleave(plan, "tracing", [partial(_read, side, plan) for side in contenders])
    off, never, on, peer = ([cpu_reading(answer) for answer in side] for side in answers)
    rated = partial(compare, unit="us/call")
    note = "peer: codin without the look whether anybody traces"
    bound = Bound("ratio", "<=", 1.03)
    yield rated("tracing.off", ours=off, peer=never, direction="ours/peer", bound=bound, note=note)
    yield rated("tracing.on", ours=on, peer=off, direction="ours/peer", note="peer: codin, not traced")
    yield rated("tracing.peer", ours=on, peer=peer, note=f"peer: {sides.PEER}, tracing on (its default, no exporter)")


def _codin(how: str) -> sides.Side:
    return sides.Side(f"codin, traced: {how}", sys.executable, "benchmarks.ours.observed", environ={"OBSERVED": how})


def _read(side: sides.Side, plan: Plan) -> dict[str, Any]:
    return child(side, "benchmarks.rig.asgi", side.server, "unary", "--seconds", str(plan.seconds))
