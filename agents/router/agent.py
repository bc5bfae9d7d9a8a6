"""Finds an agent for a wish and lets it do the work.

It chooses among the agents at the addresses in ROUTER_AGENTS (with spaces between them), else among those of a registry
(CODIN_REGISTRY, which `codin up` sets), else among those of this user on this machine. How it chooses is one function,
`codin.agent.coordination.by_words`: give `Router` another one as `choose`, e.g. one that asks a model.
"""

from __future__ import annotations

import os

from codin.agent.coordination import Router
from codin.mesh import Nearby, Static
from codin.mesh.registry import Registry


def directory() -> Static | Registry | Nearby:
    """Whom to choose from, as the environment says."""
    if addresses := os.environ.get("ROUTER_AGENTS", "").split():
        return Static(addresses)
    return Registry.of_environment() or Nearby()


known = directory()
router = Router(known, tags=["routing", "delegation"], examples=["Summarize this: …"])
