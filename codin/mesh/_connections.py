"""The peers of a mesh: who is known, and who is connected."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import anyio

from codin.client import Peer, connect
from codin.errors import BadResponse, DeadlineExceeded
from codin.mesh._clock import Clock
from codin.mesh._directory import Found
from codin.mesh._gate import Gate
from codin.mesh._limits import MeshLimits
from codin.mesh._route import PeerState
from codin.trust import TrustPolicy

__all__ = ["Connections", "Replica"]

_CARD_LIFETIME = 3  # times as long as an answer of a directory


class Replica:
    """One agent at one address. Several may have one name.

    Attributes:
        found: as the directories describe it.
        gate: what messages to it pass.
        peer: connected, or None.
        until: when its card is to be read again.
        stamp: what the verdict on its card depended on.
    """

    __slots__ = ("found", "gate", "opening", "peer", "stamp", "until")

    def __init__(self, found: Found, limits: MeshLimits, clock: Clock) -> None:
        self.found = found
        self.gate = Gate(found.name, limits, clock)
        self.peer: Peer | None = None
        self.until = float("-inf")
        self.stamp: Hashable = None
        self.opening = anyio.Lock()

    def state(self) -> PeerState:
        """What is known of it now."""
        gate = self.gate
        breaker = gate.breaker
        connected = self.peer is not None
        return PeerState(self.found, breaker.circuit, breaker.failures, gate.in_flight, gate.latency, connected)


class Connections:
    """Connects to replicas when they are needed; of too many, the one used longest ago goes.

    Args:
        policy: how cards are looked at.
        options: for `codin.connect`, a transport among them, which all connections share.
    """

    def __init__(self, limits: MeshLimits, clock: Clock, policy: TrustPolicy, options: dict[str, Any]) -> None:
        self._limits = limits
        self._clock = clock
        self._policy = policy
        self._options = options
        self._open: OrderedDict[Replica, None] = OrderedDict()

    async def peer(self, replica: Replica) -> Peer:
        """The connected peer.

        Raises:
            CodinError: it cannot be reached, is not trusted, or is another agent by now. Nothing was sent to it.
        """
        async with replica.opening:
            return self.connected(replica) or await self._connect(replica)

    def connected(self, replica: Replica) -> Peer | None:
        """The same, if it is connected already, and nothing else was decided about cards since."""
        if replica.peer is None or self._clock.now() >= replica.until or replica.stamp != self._policy.stamp:
            return None
        self._open.move_to_end(replica)
        return replica.peer

    async def _connect(self, replica: Replica) -> Peer:
        found, seconds = replica.found, self._limits.lookup
        stamp = self._policy.stamp
        opening = connect(found.url, timeout=self._limits.timeout, trust=self._policy, **self._options)
        try:
            with anyio.fail_after(seconds):
                peer = await opening.__aenter__()
        except TimeoutError:
            raise DeadlineExceeded(f"{found.url} gave no card within {seconds:g} s.") from None
        await self.close(replica)
        if found.card is not None and found.card.name != peer.card.name:
            await opening.__aexit__(None, None, None)
            raise BadResponse(f"{found.url} is {peer.card.name!r} by now, and not {found.card.name!r}.")
        await self._make_room()
        replica.peer, replica.stamp = peer, stamp
        replica.until = self._clock.now() + _CARD_LIFETIME * self._limits.fresh
        self._open[replica] = None
        return peer

    async def _make_room(self) -> None:
        for replica in [*self._open][: max(0, len(self._open) - self._limits.peers + 1)]:
            if not replica.gate.in_flight:
                await self.close(replica)

    async def close(self, replica: Replica) -> None:
        """Let go of a replica; it is connected again when it is needed."""
        peer, replica.peer = replica.peer, None
        self._open.pop(replica, None)
        if peer is not None:
            await peer.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Let go of all."""
        for replica in [*self._open]:
            await self.close(replica)
