"""A mesh whose agents are killed while it works answers every call, and each is one task."""

from __future__ import annotations

import random

import pytest

from benchmarks.mesh_soak import Soak, soak

pytestmark = pytest.mark.anyio


async def test_nothing_is_lost_or_doubled_when_agents_are_killed() -> None:
    # One replica more than are killed: a name of which nobody is left fails at once, and should.
    plan = Soak(processes=4, per_process=3, replicas=3, calls=600, kills=2, seed=random.randrange(2**32))
    done = await soak(plan)
    assert done.held, done
    assert (done.agents, done.killed) == (12, 6)
