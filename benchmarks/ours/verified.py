"""One agent, served open, open with keys, and for known callers only, and called in turns.

`python -m benchmarks.ours.verified TRANSPORT SECONDS`
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import uvloop

import codin
from benchmarks.ours.server import echo
from benchmarks.rig import calls
from benchmarks.rig.cpu import WARM_UP, report
from codin.client import Peer
from codin.testing import serving
from codin.trust import AgentIdentity, SigningKey, TrustPolicy, TrustStore

_BATCH = 5


async def main(transport: str, seconds: float) -> None:
    """Report the CPU of a call of each kind, in microseconds."""
    key = SigningKey.generate()
    kinds: dict[str, dict[str, Any]] = {
        "open": {},
        "keys": {"keys": key},
        "verified": {"keys": key, "anonymous": False},
    }
    trust = TrustPolicy("prefer", store=TrustStore(None), keys=[key.public])
    async with AsyncExitStack() as stack:
        peers: dict[str, Peer] = {}
        for kind, options in kinds.items():
            url = await stack.enter_async_context(serving(echo, **options))
            credential = AgentIdentity(key, "caller") if kind == "verified" else None
            peer = codin.connect(url, transport=transport, trust=trust, credential=credential)
            peers[kind] = await stack.enter_async_context(peer)
        costs: dict[str, list[float]] = {kind: [] for kind in kinds}
        end = time.perf_counter() + seconds * len(kinds)
        for batch in range(1_000_000):
            for kind, peer in peers.items():
                cost = await _cost(peer)
                if batch >= WARM_UP:
                    costs[kind].append(cost)
            if time.perf_counter() > end and batch > WARM_UP:
                break
        report(**{kind: {"best": min(found), "median": statistics.median(found)} for kind, found in costs.items()})
        sys.stdout.flush()
        os._exit(0)  # the figures are out; how the servers close is not what is measured


async def _cost(peer: Peer) -> float:
    answer = ""
    begin = time.process_time()
    for _ in range(_BATCH):
        answer = (await peer.send(calls.TEXT)).text
    cost = time.process_time() - begin
    assert answer == calls.TEXT, answer
    return cost / _BATCH * 1e6


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2])))
