"""An agent by its name, as `task.call` gets it: each message goes to a replica that can take it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from codin.client import Content, Event, Peer, Reply
from codin.mesh._connections import Replica
from codin.mesh._router import Router

__all__ = ["RoutedPeer"]


class RoutedPeer(Peer):
    """A connected peer whose messages are routed. About tasks it asks the replica that had the newest message."""

    def __init__(self, peer: Peer, replicas: Sequence[Replica], router: Router) -> None:
        self._replicas = replicas
        self._router = router
        self._become(peer)

    def _become(self, peer: Peer) -> None:
        vars(self).update(vars(peer))  # its card and its connection, which the mesh keeps open

    async def send(self, content: Content = (), *, timeout: float | None = None, **options: Any) -> Reply:
        """Send a message as `Peer.send` does."""
        reply, peer = await self._router.send(self._replicas, content, options, timeout=timeout)
        self._become(peer)
        return reply

    async def stream(
        self, content: Content = (), *, timeout: float | None = None, **options: Any
    ) -> AsyncGenerator[Event]:
        """Send a message and yield what happens, as `Peer.stream` does."""
        events = self._router.stream(self._replicas, content, options, timeout=timeout, adopt=self._become)
        async with aclosing(events):
            async for event in events:
                yield event
