"""`codin.Mesh`: agents by what they are, wherever they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Self

from codin.client import Content, Event, Peer, Reply
from codin.errors import ConfigError
from codin.mesh._clock import Clock, SystemClock
from codin.mesh._connections import Connections
from codin.mesh._directory import Found
from codin.mesh._hedge import Hedge
from codin.mesh._limits import MeshLimits
from codin.mesh._many import Answer, ask_all
from codin.mesh._parties import Parties
from codin.mesh._peer import RoutedPeer
from codin.mesh._remembering import Remembering
from codin.mesh._roster import Name, Roster, Wish
from codin.mesh._route import PeerState, RandomOfTwo, Route, first_healthy
from codin.mesh._router import Router, only_connect
from codin.mesh._signed import Signatures
from codin.mesh._sources import Source, Sources
from codin.mesh._union import Union
from codin.net import Transport
from codin.trust import Credential, TrustMode, TrustPolicy

__all__ = ["Mesh"]


class Mesh:
    """Finds agents and calls them by name, skill or description. Usable inside `async with`.

        async with codin.Mesh("http://127.0.0.1:8000") as mesh:
            print((await mesh.call("shout", "hello")).text)

    Each call goes to exactly one agent, the next one being tried only where nothing was sent. A message is repeated to
    the same agent when its answer was lost and the agent honours idempotency keys. A peer that fails several times in a
    row is left alone for a while; each has a bound of messages under way; every call has a time-out.

    Args:
        sources: where agents are found: URLs (a registry, a host, an agent), cards, directories, lists of these, or
            applications of this process. None: the registry that `CODIN_REGISTRY` names, and this user's agents on this
            machine.
        route: which of several that fit gets a message; the less loaded of two at random if not given.
        limits: bounds.
        transport: as `codin.connect` takes it; one for all peers.
        trust, credential, token, headers: as `codin.connect` takes them, for every peer. A token or a header goes to
            whomever the sources name.
        clock: tells the time and waits.
        random: for the default route.

    Raises:
        ConfigError: a source is nothing of the kind.
    """

    def __init__(
        self,
        *sources: Source,
        route: Route | None = None,
        limits: MeshLimits | None = None,
        transport: Transport | str | None = None,
        trust: TrustPolicy | TrustMode | None = None,
        credential: Credential | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self._sources = sources
        self._given = transport
        self._route = route or RandomOfTwo(random)
        self._limits = limits or MeshLimits()
        self._clock = clock or SystemClock()
        self._trust: TrustPolicy | TrustMode | None = trust
        given = {"credential": credential, "token": token, "headers": headers}
        self._connecting = {name: value for name, value in given.items() if value is not None}
        self._open: _Open | None = None

    async def __aenter__(self) -> Self:
        sources = Sources(self._sources, self._given)
        policy = TrustPolicy.of(self._trust)
        self._open = _Open(sources, self._limits, self._clock, self._route, policy, self._connecting)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await opened.aclose()

    async def find(
        self,
        wish: str | None = None,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """The agents that fit, the best first. Conditions that are given have to hold together; without one, all fit.

        Args:
            wish: a name, a skill, a tag or a description, tried in this order.
            name: the agent's id, or the name in its card.
            skill: the id or name of a skill.
            tag: of a skill.
            text: words of the card.

        Raises:
            CodinError: no source could be asked, now or before.
        """
        opened = self._ready()
        if wish is None:
            return await opened.directory.find(name=name, skill=skill, tag=tag, text=text, limit=limit)
        if (name, skill, tag, text) != (None, None, None, None):
            raise ConfigError("a wish takes no conditions beside it", hint="find('…') or find(skill='…', tag='…')")
        found, _ = await opened.roster.found(wish, limit)
        return found

    async def call(
        self,
        wish: Wish,
        content: Content = (),
        *,
        route: Route | None = None,
        hedge: float | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Reply:
        """Send a message to an agent that fits, and wait for the answer.

        Args:
            wish: whom: a name, a skill, a tag, a description, a URL, or what `find` gave.
            content: as `Peer.send` takes it, and `options` too.
            route: instead of the mesh's.
            hedge: seconds after which another agent that fits is asked, too; the first answer counts, and the other
                task is canceled. Only for agents whose skills have the tag `idempotent`.
            timeout: seconds for all of it.

        Raises:
            NoAgent: nobody fits.
            CircuitOpen: everybody who fits is left alone for now.
            PeerBusy: everybody who fits has as many messages under way as may be.
            TransportError: nobody was reached, or the answer was lost.
            A2AError: what the agent refuses.
        """
        opened = self._ready()
        left = self._limits.timeout if timeout is None else timeout
        replicas = opened.roster.known(wish)
        if replicas is None:
            begun = self._clock.now()
            replicas = await opened.roster.fitting(wish, left)
            left -= self._clock.now() - begun
        if hedge is not None:
            return await opened.hedge.send(replicas, content, options, after=hedge, route=route, timeout=left)
        reply, _ = await opened.router.send(replicas, content, options, route=route, timeout=left)
        return reply

    async def stream(
        self,
        wish: Wish,
        content: Content = (),
        *,
        route: Route | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[Event]:
        """Send a message to an agent that fits, and yield what happens, as `Peer.stream` does.

        Args:
            timeout: seconds until the first event, and of silence behind it. The other arguments are those of `call`.
        """
        opened = self._ready()
        replicas = await opened.roster.fitting(wish, timeout)
        async with aclosing(opened.router.stream(replicas, content, options, route=route, timeout=timeout)) as events:
            async for event in events:
                yield event

    async def ask_many(
        self,
        agents: str | Iterable[Wish],
        content: Content = (),
        *,
        limit: int = 20,
        at_most: int | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> list[Answer]:
        """Ask several agents the same, and give what became of each: an answer or an error, in their order.

        Args:
            agents: whom: a list, or a wish, and then one replica of every agent that fits.
            content: as for `call`.
            limit: agents that are asked, of more that fit a wish.
            at_most: agents that are asked at the same time.
            timeout: seconds for all of it.

        Raises:
            NoAgent: the wish fits nobody. Names of a list that nobody has are errors among the answers.
        """
        opened = self._ready()
        wishes = await self._distinct(opened, agents, limit) if isinstance(agents, str) else [*agents]
        seconds = self._limits.timeout if timeout is None else timeout
        questions = [(_label(each), partial(self.call, each, content, timeout=seconds, **options)) for each in wishes]
        return await ask_all(questions, at_most=at_most or self._limits.fan_out, timeout=seconds)

    async def resolve(self, name: str, /) -> Peer:
        """The agent of that name, connected: what `task.call("name", …)` asks for. Stays open as long as the mesh.

        Its messages are routed like those of `call`.
        """
        opened = self._ready()
        replicas = await opened.roster.fitting(Name(name))

        # The same one every time, as long as it can: what a task calls has one context there.
        reached = await opened.router.reach(only_connect, replicas, route=first_healthy)
        reached.passage.withdraw()
        return RoutedPeer(reached.peer, replicas, opened.router)

    @property
    def state(self) -> Sequence[PeerState]:
        """What is known of each peer at this moment."""
        return tuple(replica.state() for replica in self._ready().roster.replicas)

    async def _distinct(self, opened: _Open, wish: str, limit: int) -> Sequence[Wish]:
        """The names of those that fit; one wish for each, whatever number of replicas it has."""
        found, _ = await opened.roster.found(wish)
        if not found:
            raise await opened.roster.nobody(wish)
        return [*dict.fromkeys(each.name for each in found)][:limit]

    def _ready(self) -> _Open:
        if self._open is None:
            raise ConfigError("The mesh is not open.", hint="Use it inside `async with codin.Mesh(…) as mesh:`.")
        return self._open


def _label(wish: Wish) -> str:
    return wish if isinstance(wish, str) else wish.name


class _Open:
    """What a mesh consists of while it is open."""

    def __init__(
        self,
        sources: Sources,
        limits: MeshLimits,
        clock: Clock,
        route: Route,
        policy: TrustPolicy,
        connecting: Mapping[str, Any],
    ) -> None:
        options = {
            **connecting,
            "transport": sources.transport,
            # A peer that nobody reaches is not waited for: another one may be there.
            "backoff": replace(limits.backoff, unreached=False),
        }
        self._sources = sources
        self._connections = Connections(limits, clock, policy, options)
        self.directory = Union(*(Remembering(each, limits, clock) for each in sources.directories))
        parties = Parties(Signatures(sources.transport, limits.lookup), policy)
        self.roster = Roster(self.directory, self._connections, limits, clock, parties)
        self.router = Router(self._connections, limits, clock, route)
        self.hedge = Hedge(self.router, clock)

    async def aclose(self) -> None:
        await self.hedge.aclose()
        await self._connections.aclose()
        await self.directory.aclose()
        if self._sources.owned:
            await self._sources.transport.aclose()
