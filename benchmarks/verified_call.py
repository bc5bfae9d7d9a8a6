"""CPU of a call that is signed by the caller and verified by the agent, beside an open one: both ends together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading

TARGET = 1.25


def run(plan: Plan) -> Iterator[Figure]:
    """A token is made and verified for every call; with `open_with_keys` nobody shows one, though it would be taken."""
    for transport in ("httpx", "asyncio"):
        measure = partial(child, sides.codin(), "benchmarks.ours.verified", transport, str(plan.seconds))
        (answers,) = interleave(plan, f"verified_call.{transport}", [measure])
        plain = [cpu_reading(answer["open"]) for answer in answers]
        for name, kind in (("", "verified"), (".open_with_keys", "keys")):
            yield compare(
                f"verified_call.{transport}{name}",
                "us/call",
                [cpu_reading(answer[kind]) for answer in answers],
                plain,
                direction="ours/peer",
                # The faster transport shows the signature more clearly; what is promised is what a user gets.
                bound=Bound("ratio", "<=", TARGET) if (transport, kind) == ("httpx", "verified") else None,
                note="client and server in one process, over a socket; peer: an open call of the same agent",
            )
