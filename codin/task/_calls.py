"""How a task calls other agents when nobody says otherwise: by URL or name, one connection for all its calls."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from codin import a2a
from codin.errors import ConfigError
from codin.task._allowance import check_cycle
from codin.trust import ERRAND, Errand, identity_in

if TYPE_CHECKING:
    from codin.client import Peer, Reply
    from codin.net import Transport
    from codin.task._open_calls import OpenCall
    from codin.task._resolver import Resolver
    from codin.task._task import Task
    from codin.trust import Caller, Credential, TrustPolicy

__all__ = ["Calls"]

_logger = logging.getLogger("codin.task")
_GRACE = 4.0  # seconds for telling a peer that its task is not needed any more


class Calls:
    """The peers that the tasks of one manager have called.

    Args:
        transport: as `connect` takes it.
        resolver: finds agents by name.
        credential, trust: for agents that are called by URL, as `connect` takes them.
    """

    def __init__(
        self,
        transport: Transport | str | None = None,
        resolver: Resolver | None = None,
        credential: Credential | None = None,
        trust: TrustPolicy | None = None,
    ) -> None:
        self._transport = transport
        self._resolver = resolver
        self._credential = credential
        self._trust = trust
        self._peers: dict[str, Peer] = {}
        # By address and open task: peers that were handed over, as long as their owners live.
        self._handed: WeakValueDictionary[tuple[str, str], Peer] = WeakValueDictionary()
        self._ending: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __call__(self, task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        """Send `content` to an agent, within the limits of the call; a canceled run cancels there too.

        The peer gets a context of its own, the same for every call from this context, and not the caller's.

        Raises:
            UnsupportedOperation: that agent waits for the outcome of this task (reason CALL_CYCLE).
        """
        from codin.client import Peer, delegate  # a server that calls nobody loads no client

        peer = agent if isinstance(agent, Peer) else await self._peer(agent)
        limits, identity = options["limits"], identity_in(peer.card)
        check_cycle(limits.path, identity)
        url = peer.card.supported_interfaces[0].url
        arguments = dict(options)
        learn = arguments.pop("learn")
        if "task_id" not in arguments:
            own_context = uuid.uuid5(uuid.NAMESPACE_URL, f"{task.context_id} {url}")
            arguments.setdefault("context_id", str(own_context))
        claim = limits.to_claim() if identity is not None else None

        def heard(value: a2a.Task | a2a.Message) -> None:
            learn(value, url)
            if peer is not agent or not isinstance(value, a2a.Task):
                return
            if value.status.state.terminal:
                self._handed.pop((url, value.id), None)
            elif "task_id" not in options:
                self._handed[url, value.id] = peer

        errand = ERRAND.set(Errand(task.caller, claim, limits.chain))
        try:
            return await delegate(peer, content, learn=heard, **arguments)
        finally:
            ERRAND.reset(errand)

    def call_off(self, calls: Sequence[OpenCall], caller: Caller, *, completed: bool) -> None:
        """Cancel what a task that has ended has left open at peers. Does not wait for it.

        Args:
            completed: it may have wanted what is still at work to go on; what asks is canceled in any case.
        """
        for call in calls:
            handed = self._handed.pop((call.target, call.task), None)
            if call.asks or not completed:
                work = asyncio.get_running_loop().create_task(self._call_off(call, handed, caller))
                self._ending.add(work)
                work.add_done_callback(self._ending.discard)

    async def _call_off(self, call: OpenCall, handed: Peer | None, caller: Caller) -> None:
        ERRAND.set(Errand(caller))  # of this asyncio task alone
        try:
            async with asyncio.timeout(_GRACE):
                await self._cancel(call, handed)
        except a2a.TaskNotCancelable:
            pass  # it has ended by itself
        except TimeoutError:
            _logger.warning("task %s at %s could not be canceled within %g s", call.task, call.target, _GRACE)
        except Exception as error:  # a resolver or a transport of somebody else may raise anything
            _logger.warning("task %s at %s could not be canceled: %s", call.task, call.target, error)

    async def _cancel(self, call: OpenCall, handed: Peer | None) -> None:
        if handed is not None and handed.connected:
            await handed.cancel(call.task)
            return
        if not call.handed:
            await (await self._peer(call.target)).cancel(call.task)
            return
        from codin.client import connect

        # Whoever handed the peer over chose what it is told: the credential of this manager is not for it.
        async with connect(call.target, transport=self._transport, trust=self._trust) as peer:
            await peer.cancel(call.task)

    async def _peer(self, agent: object) -> Peer:
        if not isinstance(agent, str):
            raise ConfigError(f"cannot call {type(agent).__name__!r}", hint="call a URL, a name or a connected Peer")
        if "://" in agent:
            return await self._connected(agent)
        if self._resolver is None:
            raise ConfigError(
                f"{agent!r} is no URL, and there is nobody here who knows agents by name",
                hint="call a URL like http://127.0.0.1:8000, or serve with a resolver: App(…, resolver=…)",
            )
        return await self._resolver.resolve(agent)

    async def _connected(self, url: str) -> Peer:
        from codin.client import connect

        async with self._opening:
            peer = self._peers.get(url)
            if peer is None:
                opening = connect(url, transport=self._transport, credential=self._credential, trust=self._trust)
                peer = self._peers[url] = await self._stack.enter_async_context(opening)
        return peer

    async def close(self) -> None:
        """Let all connections go, once the peers have been told what is called off."""
        if self._ending:
            await asyncio.wait(set(self._ending))
        self._peers.clear()
        await self._stack.aclose()
