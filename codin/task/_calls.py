"""How a task calls other agents when nobody says otherwise: by URL, one connection for all its calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.client import Peer, Reply
    from codin.net import Transport
    from codin.task._task import Task

__all__ = ["Calls"]


class Calls:
    """The peers that the tasks of one manager have called, over a transport as `connect` takes it."""

    def __init__(self, transport: Transport | str | None = None) -> None:
        self._transport = transport
        self._peers: dict[str, Peer] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __call__(self, task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        """Send `content` to a URL or a connected `Peer`, within the task's deadline; a canceled run cancels there too.

        The peer gets a context of its own, the same for every call from this context, and not the caller's.
        """
        from codin.client import Peer, delegate

        peer = agent if isinstance(agent, Peer) else await self._peer(agent)
        left = task.deadline - asyncio.get_running_loop().time()
        own_context = uuid.uuid5(uuid.NAMESPACE_URL, f"{task.context_id} {peer.card.supported_interfaces[0].url}")
        arguments: dict[str, Any] = {"timeout": max(left, 0.001), **options}
        if "task_id" not in arguments:
            arguments.setdefault("context_id", str(own_context))
        return await delegate(peer, content, **arguments)

    async def _peer(self, url: object) -> Peer:
        from codin.client import connect  # a server that calls nobody loads no client

        if not isinstance(url, str):
            raise ConfigError(f"cannot call {type(url).__name__!r}", hint="call a URL or a connected Peer")
        async with self._opening:
            peer = self._peers.get(url)
            if peer is None:
                opening = connect(url, transport=self._transport)
                peer = self._peers[url] = await self._stack.enter_async_context(opening)
        return peer

    async def close(self) -> None:
        """Let all connections go."""
        self._peers.clear()
        await self._stack.aclose()
