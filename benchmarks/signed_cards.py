"""CPU of signing a card and of verifying one as it came, with keys that are at hand: codin and the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, processors

_OURS = "benchmarks.ours.cards"
_PEER = "benchmarks.peers.a2a_sdk_cards"


def run(plan: Plan) -> Iterator[Figure]:
    """Sign, and verify from bytes to verdict; the same card of seven skills and ES256 on both sides."""
    codin, peer = sides.codin(), sides.a2a_sdk()
    for act in ("sign", "verify"):
        reads = [partial(_read, side, module, act, plan) for side, module in ((codin, _OURS), (peer, _PEER))]
        ours, theirs = interleave(plan, f"signed_cards.{act}", reads)
        note = f"a card of seven skills, ES256; peer: {sides.PEER}"
        yield compare(f"signed_cards.{act}", "us", ours, theirs, bound=Bound("ours", "<=", 1000), note=note)


def _read(side: sides.Side, module: str, act: str, plan: Plan) -> Reading:
    answer = child(side, module, act, str(plan.seconds), processor=processors()[0])
    return Reading(answer["best"], answer["median"])
