"""How a task calls other agents when nobody says otherwise: by URL or name, one connection for all its calls."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from codin import a2a
from codin.errors import ConfigError
from codin.task._allowance import check_cycle
from codin.task._open_calls import OpenCall, may_have_begun
from codin.trust import ERRAND, Errand, identity_in

if TYPE_CHECKING:
    from codin.client import Peer, Reply
    from codin.net import Transport
    from codin.task._resolver import Resolver
    from codin.task._task import Task
    from codin.trust import Caller, Credential, TrustPolicy

__all__ = ["Calls"]

_logger = logging.getLogger("codin.task")
_GRACE = 4.0  # seconds for telling a peer that its task is not needed any more
_LOOKS = (0.0, 0.1, 0.3, 0.9, 2.0)  # seconds before each look for a task of which only the message is known
_FRESH = 300.0  # seconds until a peer's card is looked at again


class _Called:
    """A peer that is called by its URL.

    Attributes:
        stamp: what the verdict on its card depended on.
        until: when its card is to be looked at again.
        users: calls that are under way.
    """

    __slots__ = ("peer", "stamp", "until", "users")

    def __init__(self, peer: Peer, stamp: Hashable) -> None:
        self.peer = peer
        self.stamp = stamp
        self.until: float = monotonic() + _FRESH
        self.users: int = 0

    def counts(self, stamp: Hashable) -> bool:
        """Whether what was thought of its card still is."""
        return self.stamp == stamp and monotonic() < self.until


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
        self._peers: dict[str, _Called] = {}
        # By address, and open task or lost message: peers that were handed over, as long as their owners live.
        self._handed: WeakValueDictionary[tuple[str, str], Peer] = WeakValueDictionary()
        self._ending: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    async def __call__(self, task: Task, agent: Any, content: Any, options: Mapping[str, Any]) -> Reply:
        """Send `content` to an agent, within the limits of the call; a canceled run cancels there too.

        The peer gets a context of its own, the same for every call from this context, and not the caller's.

        Raises:
            UnsupportedOperation: that agent waits for the outcome of this task (reason CALL_CYCLE).
        """
        from codin.client import Peer  # a server that calls nobody loads no client

        if isinstance(agent, Peer):
            return await self._delegate(agent, task, content, options, handed=True)
        async with self._reached(agent) as peer:
            return await self._delegate(peer, task, content, options, handed=False)

    async def _delegate(
        self, peer: Peer, task: Task, content: Any, options: Mapping[str, Any], *, handed: bool
    ) -> Reply:
        from codin.client import delegate

        limits, identity = options["limits"], identity_in(peer.card)
        check_cycle(limits.path, identity)
        url = peer.card.supported_interfaces[0].url
        arguments = dict(options)
        learn, sending = arguments.pop("learn"), arguments.pop("sending")
        if "task_id" not in arguments:
            own_context = uuid.uuid5(uuid.NAMESPACE_URL, f"{task.context_id} {url}")
            arguments.setdefault("context_id", str(own_context))
        claim = limits.to_claim() if identity is not None else None
        unheard: list[str] = []

        async def leaving(message: a2a.Message) -> None:
            await sending(message, url)
            unheard.append(message.message_id)

        def heard(value: a2a.Task | a2a.Message) -> None:
            learn(value, url)
            unheard.clear()
            if not handed or not isinstance(value, a2a.Task):
                return
            if value.status.state.terminal:
                self._handed.pop((url, value.id), None)
            elif "task_id" not in options:
                self._handed[url, value.id] = peer

        errand = ERRAND.set(Errand(task.caller, claim, limits.chain))
        try:
            return await delegate(peer, content, learn=heard, sending=leaving, **arguments)
        except BaseException as error:
            if handed and unheard and may_have_begun(error):
                self._handed[url, unheard[0]] = peer
            raise
        finally:
            ERRAND.reset(errand)

    def call_off(self, calls: Sequence[OpenCall], caller: Caller, *, completed: bool) -> None:
        """Cancel what a task has left open at peers. Does not wait for it.

        Args:
            completed: what nobody was to wait for may go on.
        """
        for call in calls:
            handed = self._handed.pop((call.target, call.task or call.message), None)
            if call.asks or call.waits or not completed:
                work = asyncio.get_running_loop().create_task(self._call_off(call, handed, caller))
                self._ending.add(work)
                work.add_done_callback(self._ending.discard)

    async def _call_off(self, call: OpenCall, handed: Peer | None, caller: Caller) -> None:
        ERRAND.set(Errand(caller))  # of this asyncio task alone
        what = f"task {call.task}" if call.task else f"what message {call.message} began"
        try:
            async with asyncio.timeout(_GRACE):
                await self._cancel(call, handed)
        except a2a.TaskNotCancelable:
            pass  # it has ended by itself
        except TimeoutError:
            _logger.warning("%s at %s could not be canceled within %g s", what, call.target, _GRACE)
        except Exception as error:  # a resolver or a transport of somebody else may raise anything
            _logger.warning("%s at %s could not be canceled: %s", what, call.target, error)

    async def _cancel(self, call: OpenCall, handed: Peer | None) -> None:
        if handed is not None and handed.connected:
            await _end(handed, call)
            return
        if not call.handed:
            async with self._reached(call.target) as peer:
                await _end(peer, call)
            return
        from codin.client import connect

        # Whoever handed the peer over chose what it is told: the credential of this manager is not for it.
        async with connect(call.target, transport=self._transport, trust=self._trust) as peer:
            await _end(peer, call)

    @asynccontextmanager
    async def _reached(self, agent: object) -> AsyncGenerator[Peer]:
        if not isinstance(agent, str):
            raise ConfigError(f"cannot call {type(agent).__name__!r}", hint="call a URL, a name or a connected Peer")
        if "://" not in agent:
            yield await self._named(agent)
            return
        called = await self._connected(agent)
        called.users += 1
        try:
            yield called.peer
        finally:
            called.users -= 1
            if self._peers.get(agent) is not called:
                await self._let_go(called)

    async def _named(self, name: str) -> Peer:
        if self._resolver is None:
            raise ConfigError(
                f"{name!r} is no URL, and there is nobody here who knows agents by name",
                hint="call a URL like http://127.0.0.1:8000, or serve with a resolver: App(…, resolver=…)",
            )
        return await self._resolver.resolve(name)

    async def _connected(self, url: str) -> _Called:
        """The peer at a URL; anew when something else is trusted by now, or when its card has grown old."""
        from codin.client import connect
        from codin.trust import TrustPolicy

        policy = self._trust = TrustPolicy.of(self._trust)
        before = self._peers.get(url)
        if before is not None and before.counts(policy.stamp):
            return before
        async with self._opening:
            stamp, before = policy.stamp, self._peers.get(url)
            if before is not None and before.counts(stamp):
                return before
            peer = connect(url, transport=self._transport, credential=self._credential, trust=policy)
            called = self._peers[url] = _Called(await peer.__aenter__(), stamp)
            if before is not None:
                await self._let_go(before)
            return called

    async def _let_go(self, called: _Called) -> None:
        if not called.users:
            await called.peer.__aexit__(None, None, None)

    async def close(self) -> None:
        """Let all connections go, once the peers have been told what is called off."""
        if self._ending:
            await asyncio.wait(set(self._ending))
        called = [*self._peers.values()]
        self._peers.clear()
        for each in called:
            await each.peer.__aexit__(None, None, None)


async def _end(peer: Peer, call: OpenCall) -> None:
    task_id = call.task or await _found(peer, call)
    if task_id is not None:
        await peer.cancel(task_id)


async def _found(peer: Peer, call: OpenCall) -> str | None:
    """The task that the message began; None when it has ended, or there is none.

    It is looked for and never asked for: sent again, a message that has not arrived would begin now what is to end.
    """
    from codin.client import begun_by

    for pause in _LOOKS:
        await asyncio.sleep(pause)  # the message may be on its way yet
        task = await begun_by(peer, call.message, call.context)
        if task is not None:
            return None if task.status.state.terminal else task.id
    return None
