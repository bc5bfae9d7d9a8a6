"""Getting a message to one of several replicas: to exactly one, however many it takes to find it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, TypeVar

from codin import a2a
from codin.client import Event, Peer, Reply
from codin.errors import (
    AddressRefused,
    CircuitOpen,
    CodinError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    MeshError,
    PeerBusy,
)
from codin.mesh._clock import Clock
from codin.mesh._connections import Connections, Replica
from codin.mesh._gate import Passage
from codin.mesh._limits import MeshLimits
from codin.mesh._route import Route, first_healthy

__all__ = ["Act", "Reached", "Router", "only_connect"]

_PLACES = 2048
_TIERS = {"healthy": 0, "unknown": 0, "suspect": 1, "gone": 2}

T = TypeVar("T")
Act = Callable[[Peer, float], Awaitable[T]]
"""What to do with a connected peer, and the seconds there are for it."""


class Reached(NamedTuple, Generic[T]):
    """Who was reached, and what came of it. The passage is still to be left."""

    replica: Replica
    peer: Peer
    passage: Passage
    result: T


class Router:
    """Chooses a replica for each message, and another one only when the message has reached nobody."""

    def __init__(self, connections: Connections, limits: MeshLimits, clock: Clock, route: Route) -> None:
        self._connections = connections
        self._limits = limits
        self._clock = clock
        self._route = route
        self._places: dict[str, Replica] = {}  # by task or context
        self._former_places: dict[str, Replica] = {}

    async def reach(
        self,
        act: Act[T],
        replicas: Sequence[Replica],
        *,
        route: Route | None = None,
        timeout: float | None = None,
        used: list[Replica] | None = None,
        failed: CodinError | None = None,
    ) -> Reached[T]:
        """Act on the first replica that is reached.

        The next one is tried only where nothing was sent: nobody is there, it is left alone or full, or its card did
        not convince. When all have been tried, those that may be there a moment later are, after a pause.

        Args:
            timeout: seconds for all of it.
            used: replicas to leave out; those that are tried are added while it goes on.
            failed: why the only replica was not reached a moment ago.

        Raises:
            CodinError: what went wrong with the last one; or what `act` raises.
        """
        left_out = len(used) if used is not None else 0
        used = [] if used is None else used
        deadline = self._clock.now() + (self._limits.timeout if timeout is None else timeout)
        rounds = 0
        problem = failed
        if failed is not None:
            used += replicas
        while True:
            while problem is None or (any(other not in used for other in replicas) and self._clock.now() < deadline):
                replica = self._choose(replicas, used, route or self._route)
                used.append(replica)
                outcome = await self._try(act, replica, deadline)
                if isinstance(outcome, Reached):
                    return outcome
                if problem is None or not isinstance(outcome, CircuitOpen):
                    problem = outcome
            pause = self._limits.backoff.pause(rounds)
            late = self._clock.now() + pause >= deadline
            if late or rounds >= self._limits.backoff.tries or not _may_pass(problem):
                raise problem
            await self._clock.sleep(pause)
            rounds += 1
            problem = None
            del used[left_out:]

    def _choose(self, replicas: Sequence[Replica], used: Sequence[Replica], route: Route) -> Replica:
        left = [replica for replica in replicas if replica not in used] if used else replicas
        if len(left) == 1:
            return left[0]
        left = [replica for replica in left if replica.gate.passable] or left
        best = min([_TIERS[replica.found.health] for replica in left])
        left = [replica for replica in left if _TIERS[replica.found.health] == best]
        if len(left) == 1:
            return left[0]
        states = [replica.state() for replica in left]
        chosen = route(states)
        for replica, state in zip(left, states, strict=True):
            if state is chosen:
                return replica
        raise ConfigError(f"the route {route!r} gave no candidate, but {chosen!r}")

    async def _try(self, act: Act[T], replica: Replica, deadline: float) -> Reached[T] | CodinError:
        """Act on a replica; the error when nothing was sent to it."""
        try:
            passage = replica.gate.enter()
        except MeshError as error:
            return error
        sending = False
        try:
            peer = self._connections.connected(replica) or await self._connections.peer(replica)
            left = deadline - self._clock.now()
            if left <= 0:
                raise DeadlineExceeded(f"{replica.found.name!r} was reached too late for an answer in time.")
            sending = True
            result = await act(peer, left)
        except BaseException as error:
            passage.leave(error)
            if isinstance(error, ConnectError):
                replica.until = float("-inf")  # whoever is there next time may be another agent
            if isinstance(error, CodinError) and (isinstance(error, ConnectError) or not sending):
                return error
            raise
        return Reached(replica, peer, passage, result)

    async def send(
        self,
        replicas: Sequence[Replica],
        content: Any,
        options: Mapping[str, Any],
        *,
        route: Route | None = None,
        timeout: float | None = None,
    ) -> tuple[Reply, Peer]:
        """Send a message. Gives the answer and who gave it."""
        timeout = self._limits.timeout if timeout is None else timeout
        failed: ConnectError | None = None
        if len(replicas) == 1:  # most names are such, so there is a short way while all is well
            (replica,) = replicas
            peer = self._connections.connected(replica)
            if peer is not None and (passage := replica.gate.admit()) is not None:
                begun = self._clock.now()
                try:
                    reply = await peer.send(content, timeout=timeout, **options)
                except BaseException as error:
                    passage.leave(error)
                    if not isinstance(error, ConnectError):
                        raise
                    replica.until = float("-inf")  # whoever is there next time may be another agent
                    timeout -= self._clock.now() - begun
                    failed = error
                else:
                    passage.leave()
                    self.remember(replica, reply.task_id, reply.context_id)
                    return reply, peer
        return await self._send(replicas, content, options, route, timeout, failed)

    async def _send(
        self,
        replicas: Sequence[Replica],
        content: Any,
        options: Mapping[str, Any],
        route: Route | None,
        timeout: float,
        failed: ConnectError | None,
    ) -> tuple[Reply, Peer]:
        async def act(peer: Peer, left: float) -> Reply:
            return await peer.send(content, timeout=left, **options)

        replicas, route = self._placed(replicas, content, options, route)
        reached = await self.reach(act, replicas, route=route, timeout=timeout, failed=failed)
        reached.passage.leave()
        reply = reached.result
        self.remember(reached.replica, reply.task_id, reply.context_id)
        return reply, reached.peer

    async def stream(
        self,
        replicas: Sequence[Replica],
        content: Any,
        options: Mapping[str, Any],
        *,
        route: Route | None = None,
        timeout: float | None = None,
        adopt: Callable[[Peer], None] | None = None,
    ) -> AsyncGenerator[Event]:
        """Send a message and yield what happens.

        Args:
            timeout: seconds until the first event, and of silence behind it.
            adopt: is told who was reached.
        """

        async def act(peer: Peer, left: float) -> tuple[AsyncGenerator[Event], Event | None]:
            events = peer.stream(content, timeout=self._limits.timeout if timeout is None else timeout, **options)
            try:
                return events, await anext(events, None)
            except BaseException:
                await events.aclose()
                raise

        replicas, route = self._placed(replicas, content, options, route)
        reached = await self.reach(act, replicas, route=route, timeout=timeout)
        events, first = reached.result
        if adopt is not None:
            adopt(reached.peer)
        try:
            async with aclosing(events):
                if first is not None:
                    reached.passage.hear()
                    self.remember(reached.replica, *_ids(first))
                    yield first
                async for event in events:
                    yield event
        except BaseException as error:
            reached.passage.leave(error)
            raise
        reached.passage.leave()

    async def connected(self, replica: Replica) -> Peer:
        """A replica, for what is no message. Raises CodinError when it cannot be reached now."""
        outcome = await self._try(only_connect, replica, self._clock.now() + self._limits.timeout)
        if not isinstance(outcome, Reached):
            raise outcome
        outcome.passage.withdraw()
        return outcome.peer

    def holders(self, task_id: str, replicas: Sequence[Replica]) -> Sequence[Replica]:
        """Who may have a task: the one that is known to, else any."""
        place = self._place(task_id, replicas)
        return replicas if place is None else [place]

    def remember(self, replica: Replica, *ids: str | None) -> None:
        """A task, and what was said in a context, are known to one replica only."""
        for each in ids:
            if each is not None:
                self._places[each] = replica
        if len(self._places) > _PLACES:  # the oldest go, all at once: to move each to the end would cost every call
            self._former_places, self._places = self._places, {}

    def _placed(
        self, replicas: Sequence[Replica], content: Any, options: Mapping[str, Any], route: Route | None
    ) -> tuple[Sequence[Replica], Route | None]:
        """Where a message that goes on with something goes: with a task to its replica, with a context first there."""
        message = content if isinstance(content, a2a.Message) else None
        place = self._place(options.get("task_id") or (message and message.task_id), replicas)
        if place is not None:
            return [place], route
        place = self._place(options.get("context_id") or (message and message.context_id), replicas)
        if place is not None:
            return [place, *(other for other in replicas if other is not place)], first_healthy
        return replicas, route

    def _place(self, of: str | None, replicas: Sequence[Replica]) -> Replica | None:
        place = (self._places.get(of) or self._former_places.get(of)) if of is not None else None
        return place if place in replicas else None


async def only_connect(peer: Peer, left: float) -> None:
    """Reach somebody, and send nothing."""


def _may_pass(problem: CodinError) -> bool:
    """Whether the same message may get through a moment later."""
    return isinstance(problem, (ConnectError, PeerBusy)) and not isinstance(problem, AddressRefused)


def _ids(event: Event) -> tuple[str | None, str | None]:
    value = event.value
    return (value.id if isinstance(value, a2a.Task) else value.task_id), value.context_id
