"""One served agent: its manager, its card, and the operations, each one call on the manager. Spec 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from math import inf
from typing import Any

from codin import a2a
from codin.agent import Agent
from codin.net import Transport
from codin.server._admission import Admission
from codin.server._bindings import BINDINGS
from codin.server._card import Cards
from codin.server._extended import ExtendCard
from codin.server._extensions import Extensions, extensions_of
from codin.server._limits import ServerLimits
from codin.server._neighbours import policy_of
from codin.server._observer import Observer
from codin.task import (
    Follower,
    Guard,
    Handler,
    Limits,
    Provides,
    PushPolicy,
    Resolver,
    Subscription,
    TaskManager,
    TaskStore,
    converse,
)
from codin.tool import Sandboxing
from codin.tool._agent_tools import AgentTools
from codin.trust import AgentIdentity, Caller, CallLimits, KeyRing, TrustStore, identity_of

__all__ = ["Endpoint", "no_push"]


class Endpoint:
    """The operations on one agent, for every binding."""

    def __init__(
        self,
        agent: Agent,
        store: TaskStore,
        limits: Limits,
        server_limits: ServerLimits,
        admission: Admission | None,
        guards: Sequence[Guard],
        transport: Transport | str | None,
        ring: KeyRing | None = None,
        resolver: Resolver | None = None,
        trust: TrustStore | None = None,
        extend: ExtendCard | None = None,
        *,
        old: bool = False,
        bindings: Sequence[str] = BINDINGS,
        push: PushPolicy | None = None,
        sandbox: Mapping[str, Sandboxing] | None = None,
        provides: Provides | None = None,
        follower: Follower | None = None,
    ) -> None:
        self.agent = agent
        self.place: str = ""
        identity = identity_of(agent.id, ring.active.kid if ring is not None else None)
        self.admission = admission
        self.extend = extend
        self._direct = getattr(agent, "reply", "task") == "message"
        self.pushes: bool = push is not None and not self._direct
        self.cards: Cards = Cards(
            agent,
            admission,
            identity,
            ring,
            extended=extend is not None,
            old=old,
            bindings=bindings,
            pushes=self.pushes,
        )
        self._limits = limits
        references = server_limits.max_references
        self._most = {
            "parts": server_limits.max_parts, "referenceTaskIds": references, "reference_task_ids": references
        }  # fmt: skip
        self.extensions: Extensions = Extensions(extensions_of(agent))
        self._handle: Handler = agent.handle
        modes: Sequence[str] = getattr(agent, "input_modes", None) or ["*/*"]
        self._input_modes = [mode.lower() for mode in modes]
        closing_update = getattr(agent, "closing_update", None)
        self.manager: TaskManager = TaskManager(
            agent.handle,
            store,
            agent=agent.id,
            limits=limits,
            guards=guards if admission is None else [*admission.guards, *guards],
            use=AgentTools(lambda: agent.tools, sandbox),
            provides=provides,
            follower=follower,
            transport=transport,
            resolver=resolver,
            credential=AgentIdentity(ring, agent.id) if ring is not None else None,
            trust=policy_of(ring, trust),
            identity=identity,  # in the paths of calls it stays as it was: a circle is known by it
            closing_update=True if closing_update is None else closing_update,
            closing_message=bool(getattr(agent, "closing_message", False)),
            rerunnable=bool(getattr(agent, "rerunnable", False)),
            push=push if self.pushes else None,
            keys=ring,
        )

    @property
    def identity(self) -> str:
        """What the agent is called by: its id, and the key that is active now."""
        return self.cards.identity

    def observe(self, observer: Observer) -> None:
        """Let every run from now on be watched."""
        self._handle = observer.run(self.agent, self._handle)
        self.manager.wrap(partial(observer.run, self.agent))

    def check_counts(self, params: Mapping[str, Any]) -> None:
        """See that a message does not bring more than it may, before each of it becomes an object.

        Raises:
            InvalidParams: with the field at fault.
        """
        message: dict[str, list[Any]] = params.get("message", {})
        if type(message) is not dict:
            return  # which is said elsewhere
        for name, given in message.items():
            if type(given) is list and len(given) > self._most.get(name, inf):
                raise a2a.InvalidParams.of(f"message.{name}", f"has {len(given)}; {self._most[name]} are allowed")

    async def send(
        self,
        caller: Caller,
        request: a2a.SendMessageRequest,
        key: str | None,
        called: CallLimits | None = None,
        extensions: Sequence[str] = (),
    ) -> bytes:
        """SendMessage: the JSON of a `SendMessageResponse`. Spec 3.1.1."""
        self._check(caller, request)
        if self._direct:
            return b'{"message":%s}' % await self._converse(caller, request, called, extensions)
        turn = await self.manager.submit(caller, request, key=key, called=called, extensions=extensions)
        configuration = request.configuration
        if configuration is not None and configuration.return_immediately:
            return b'{"task":' + await turn.accepted() + b"}"
        return b'{"task":' + await turn.outcome() + b"}"

    async def stream(
        self,
        caller: Caller,
        request: a2a.SendMessageRequest,
        key: str | None,
        called: CallLimits | None = None,
        extensions: Sequence[str] = (),
    ) -> Subscription | bytes:
        """SendStreamingMessage: what to stream, or the JSON of the one message there is. Spec 3.1.2."""
        self._check(caller, request)
        if self._direct:
            return b'{"message":%s}' % await self._converse(caller, request, called, extensions)
        turn = await self.manager.submit(caller, request, streaming=True, key=key, called=called, extensions=extensions)
        return await turn.stream()

    async def _converse(
        self,
        caller: Caller,
        request: a2a.SendMessageRequest,
        called: CallLimits | None,
        extensions: Sequence[str],
    ) -> bytes:
        configuration = request.configuration
        if configuration is not None and configuration.task_push_notification_config is not None:
            raise no_push()
        if called is not None:
            self.manager.admit(called)
        message = await converse(self._handle, caller, request, self._limits, called=called, extensions=extensions)
        return message.to_json()

    def _check(self, caller: Caller, request: a2a.SendMessageRequest) -> None:
        if self.admission is not None:
            self.admission.check_skill(caller, request.message)
        for index, part in enumerate(request.message.parts):
            if part.media_type is not None and part.kind in {"raw", "url"} and not self._takes(part.media_type):
                raise a2a.ContentTypeNotSupported(
                    f"message.parts[{index}].mediaType: this agent does not take {part.media_type!r}",
                    hint=f"it takes {', '.join(self._input_modes)}",
                )

    def _takes(self, media_type: str) -> bool:
        name = media_type.partition(";")[0].strip().lower()
        return any(mode == "application/octet-stream" or fnmatchcase(name, mode) for mode in self._input_modes)


def no_push() -> a2a.PushNotificationNotSupported:
    """Why push configurations are refused."""
    return a2a.PushNotificationNotSupported("this agent does not push; subscribe to the task instead")
