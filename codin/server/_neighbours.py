"""How agents that are served here call others: whom they trust, how they find one by its name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codin.errors import NoAgent
from codin.trust import AgentIdentity, KeyRing, TrustPolicy, TrustStore

if TYPE_CHECKING:
    from codin.client import Peer
    from codin.mesh import Mesh
    from codin.mesh.registry import Registry

__all__ = ["Neighbourhood", "Neighbours", "policy_of"]


class Neighbours:
    """A resolver for one agent: it finds those of a registry, and without one this user's on this machine.

    Nobody is looked for before somebody is called.

    Args:
        agent: the id of the agent that calls.
        ring: proves who calls, and vouches for agents with the same keys.
        trust: what else was decided about keys and cards.
        registry: where the agents of its mesh are.
    """

    def __init__(
        self, agent: str, ring: KeyRing | None, trust: TrustStore | None, registry: Registry | None = None
    ) -> None:
        self._agent = agent
        self._ring = ring
        self._trust = trust
        self._registry = registry
        self._mesh: Mesh | None = None
        self._opening = asyncio.Lock()

    async def resolve(self, name: str, /) -> Peer:
        """The agent of that name, connected. Raises NoAgent."""
        from codin.mesh import Mesh, Nearby  # an agent that calls nobody by name loads no mesh

        async with self._opening:
            if self._mesh is None:
                source = self._registry or Nearby()
                credential = AgentIdentity(self._ring, self._agent) if self._ring is not None else None
                mesh = Mesh(source, trust=policy_of(self._ring, self._trust), credential=credential)
                self._mesh = await mesh.__aenter__()
        try:
            return await self._mesh.resolve(name)
        except NoAgent as error:
            place = f"the registry at {self._registry.url}" if self._registry is not None else "this user's agents here"
            error.hint = f"{error.hint or ''} Looked for in {place}.".strip()
            raise

    async def aclose(self) -> None:
        """Let all connections go."""
        mesh, self._mesh = self._mesh, None
        if mesh is not None:
            await mesh.__aexit__(None, None, None)


class Neighbourhood:
    """Gives each agent of a server a resolver of its own. The arguments are those of `Neighbours`."""

    def __init__(self, ring: KeyRing | None, trust: TrustStore | None, registry: Registry | None) -> None:
        self._ring = ring
        self._trust = trust
        self._registry = registry
        self._given: list[Neighbours] = []

    def __call__(self, agent: str) -> Neighbours:
        """The resolver for the agent with this id."""
        given = Neighbours(agent, self._ring, self._trust, self._registry)
        self._given.append(given)
        return given

    async def aclose(self) -> None:
        """Let all connections of all agents go."""
        for each in self._given:
            await each.aclose()


def policy_of(ring: KeyRing | None, store: TrustStore | None) -> TrustPolicy | None:
    """How an agent looks at those it calls: agents with its own keys are known, beside what the store says."""
    if ring is None and store is None:
        return None
    return TrustPolicy(TrustPolicy.of(None).mode, store=store, keys=ring or (), first_use=False)
