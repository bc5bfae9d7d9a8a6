"""What a sandbox costs: to make one, to run a command in one that is open, to have one from a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare, unmeasured
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child
from codin.errors import SandboxError
from codin.sandbox import sandbox_of

_MODULE = "benchmarks.ours.sandbox"
_BARE = {"local": "bwrap with the same walls", "wasm": "Python in a process", "docker": "docker run --rm"}
_FRESH = {"local": Bound("ratio", "<=", 3.0)}
_LOCAL = ("code", "bare_code", "floor")
_EXEC = {"wasm": Bound("ours", "<=", 10.0)}  # each command there is an instance of its own


def run(plan: Plan, kinds: Sequence[str] = ("local", "wasm", "docker")) -> Iterator[Figure]:
    """The medians of each kind that can be opened here."""
    for kind in kinds:
        try:
            asyncio.run(sandbox_of(kind).check())
        except SandboxError as missing:
            yield unmeasured(f"sandbox.{kind}", str(missing))
            continue
        yield from _figures(plan, kind)


def _figures(plan: Plan, kind: str) -> Iterator[Figure]:
    reads = [partial(_read, kind, what, plan) for what in ("fresh", "exec", "pooled", "bare")]
    fresh, opened, pooled, bare = interleave(plan, f"sandbox.{kind}", reads)
    rated = partial(compare, unit="ms", direction="ours/peer")
    peer = f"p50; peer: {_BARE[kind]}"
    note = f"open, a command, close; {peer}"
    yield rated(f"sandbox.{kind}.fresh", ours=fresh, peer=bare, bound=_FRESH.get(kind), note=note)
    if kind == "local":
        reads = [partial(_read, kind, what, plan) for what in _LOCAL]
        code, bare_code, floor = interleave(plan, "sandbox.local.code", reads)
        note = f"open, code of Python, close; {peer}"
        yield rated("sandbox.local.code", ours=code, peer=bare_code, bound=_FRESH[kind], note=note)
        note = f"the peer with a bare interpreter in place of `true`, which a supervisor in Python begins with; {peer}"
        yield rated("sandbox.local.floor", ours=floor, peer=bare, note=note)
    note = f"a command in an open sandbox; {peer}"
    yield rated(f"sandbox.{kind}.exec", ours=opened, peer=bare, bound=_EXEC.get(kind), note=note)
    bound = Bound("ours", "<=", 5.0)
    note = "p50; what a command takes longer when its sandbox is taken from a pool; peer: the command"
    yield rated(f"sandbox.{kind}.pooled", ours=pooled, peer=opened, bound=bound, note=note)


def _read(kind: str, what: str, plan: Plan) -> Reading:
    # The promises are about the middle of many, and the best of the rounds is the one that nobody disturbed.
    median = child(sides.codin(), _MODULE, kind, what, str(plan.seconds))["median"]
    return Reading(median, median)
