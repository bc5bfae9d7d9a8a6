"""Agents that are known by their keys, while what is decided about keys changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.testing import serving
from codin.trust import AgentIdentity, KeyRing, SigningKey, TrustPolicy, TrustStore

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate()


@agent
async def _who(task: Task) -> str:
    """Say who calls."""
    return task.caller.id


async def test_what_is_decided_after_the_start_counts(tmp_path: Path) -> None:
    theirs = SigningKey.generate()
    store = TrustStore(tmp_path / "trust.json")  # there is no such file yet
    async with serving(_who, keys=KEY, trust=store, anonymous=False) as url:
        believed = TrustPolicy("require", store=TrustStore(), keys=[KEY.public])
        async with codin.connect(url, credential=AgentIdentity(theirs, "front"), trust=believed) as peer:
            with pytest.raises(a2a.Unauthenticated):
                await peer.send("x")
            store.name("front desk", theirs.public)
            assert (await peer.send("x")).text == "front desk"
            store.revoke(theirs.kid)
            with pytest.raises(a2a.Unauthenticated):
                await peer.send("x")


async def test_a_caller_whose_key_is_rotated_is_known_by_the_old_one_meanwhile(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    store = TrustStore()
    store.name("front desk", ring.active.public)
    async with serving(_who, keys=KEY, trust=store, anonymous=False) as url:
        believed = TrustPolicy("require", store=TrustStore(), keys=[KEY.public])
        async with codin.connect(url, credential=AgentIdentity(ring, "front"), trust=believed) as peer:
            old = ring.active.kid
            ring.rotate()
            assert ring.active.kid != old
            assert (await peer.send("x")).text == "front desk"
            ring.revoke(old)
            with pytest.raises(a2a.Unauthenticated):
                await peer.send("x")
