"""The ASGI application that serves agents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from codin.agent import Agent, as_agent
from codin.errors import ConfigError
from codin.net import Transport
from codin.server._admission import Admission, admission, call_tokens
from codin.server._bindings import BINDINGS, check_bindings
from codin.server._endpoint import Endpoint
from codin.server._extended import CARD_URL, ExtendCard
from codin.server._grpc_port import GrpcPort
from codin.server._hsts import YEAR, Hsts
from codin.server._http import Headers, headers_of
from codin.server._jsonrpc import JsonRpc
from codin.server._jwks import JWKS_PATH
from codin.server._keeping import check_memory, warn_of_forgetting
from codin.server._limits import ServerLimits
from codin.server._observer import Observer, open_observer
from codin.server._operations import Operations
from codin.server._pages import Pages, nothing_here, with_address
from codin.server._rest import Rest, RestRequest
from codin.server._rest_resources import Resources
from codin.server._stream import Streams
from codin.server._urls import encoded_path, path_of
from codin.server._v03 import OldOperations, check_versions
from codin.server._v03_rest import OldRest
from codin.task import (
    DeadLetter,
    Follower,
    Guard,
    Limits,
    Provides,
    PushPolicy,
    Resolver,
    TaskStore,
    open_store,
)
from codin.telemetry import TRAIL, Trail
from codin.tool import Sandboxing, check_sandboxing
from codin.trust import Access, Authenticator, KeyRing, SigningKey, TrustStore

if TYPE_CHECKING:
    from codin.memory import Memories

__all__ = ["App"]

_logger = logging.getLogger("codin.server")


class App:
    """Serves one agent at its root, or several, each at `/{agent.id}`. Mountable under any prefix.

    It starts with its first request, or with its lifespan: `Starlette(lifespan=app.lifespan)` when it is mounted,
    because neither Starlette nor FastAPI runs the lifespan of a mounted application.

    Args:
        agents: agents, functions, or objects of a framework that codin knows.
        store: a `TaskStore` or its URL: `memory://`, `sqlite:///file.db`.
        public_url: the URL under which the outside reaches this app; without it, the request's own.
        trusted_proxies: addresses whose `X-Forwarded-Proto`, `-Host` and `-Prefix` headers are believed.
        authenticator: who calls. With `keys`, agents may say it by their call tokens as well.
        access: what each caller may do; then nobody comes in who is not known.
        trust: whose call tokens are taken, beside those of agents with our own keys.
        anonymous: whether callers who are not known come in, as one owner. By default they do where there is neither
            an authenticator nor an access; with `keys`, who shows a call token is known all the same.
        keys: sign the cards, and are published at `/.well-known/jwks.json`. A card is signed for addresses that are
            known to be ours: `public_url`, and without it what the connection came in at.
        guards: asked before a submit, a call and an outcome.
        transport: how `task.call` reaches other agents, as `codin.connect` takes it.
        resolver: how `task.call` finds agents by name: a `codin.Mesh`, or a function that makes one for each agent id.
        push: whether push notifications go out, or how; by default they do, to addresses in the internet only.
        extended_card: makes the card for callers who say who they are, out of the public one: `(card, caller)`, a
            plain function or a coroutine; None for a caller who has none. Without it there is no extended card.
        bindings: of A2A that are served, in the order of the cards: "JSONRPC" and "HTTP+JSON", at the same addresses.
        versions: of A2A; `("1.0",)` refuses peers of 0.3, whose calls are answered at the same addresses.
        grpc_port: serves gRPC as well, on a port of its own, from `start` or the lifespan on; 0 takes a free one.
        grpc_host: the address it listens on.
        grpc_address: `host:port` for the cards, where the outside reaches it; by default the card's own host and
            the port.
        grpc_tls: files with a certificate chain and its key, PEM, for the port of gRPC; without it a proxy has them.
        hsts: for how many seconds who has come by HTTPS is asked to come by nothing else; 0 asks nobody. It counts for
            all of the host, in browsers.
        limits: bounds of tasks.
        server_limits: bounds of requests and streams.
        memory: what agents remember: `sqlite:///memory.db`, `redis://…`, `postgresql://…`, `memory://`, or `Memories`
            with an embedder. What is said in tasks is written down there by itself, and `task.use(Memory)` is the
            agent's view of its caller.
        tool_sandbox: whether tools of the agents run in a sandbox, by name: "required", "preferred", or "off"; it takes
            the place of what the tool says.

    Raises:
        ConfigError: no agent, an object that cannot be served, two agents with one id, or an extended card where
            nobody can say who they are.
    """

    def __init__(
        self,
        *agents: object,
        store: TaskStore | str = "memory://",
        public_url: str | None = None,
        trusted_proxies: Collection[str] = (),
        authenticator: Authenticator | None = None,
        access: Access | None = None,
        trust: TrustStore | None = None,
        anonymous: bool | None = None,
        keys: KeyRing | SigningKey | None = None,
        guards: Sequence[Guard] = (),
        transport: Transport | str | None = None,
        resolver: Resolver | Callable[[str], Resolver] | None = None,
        push: PushPolicy | bool = True,
        extended_card: ExtendCard | None = None,
        bindings: Sequence[str] = BINDINGS,
        versions: Collection[str] = ("1.0", "0.3"),
        grpc_port: int | None = None,
        grpc_host: str = "127.0.0.1",
        grpc_address: str | None = None,
        grpc_tls: tuple[str | Path, str | Path] | None = None,
        hsts: int = YEAR,
        limits: Limits | None = None,
        server_limits: ServerLimits | None = None,
        memory: Memories | str | None = None,
        tool_sandbox: Mapping[str, Sandboxing] | None = None,
    ) -> None:
        bindings = check_bindings(bindings)
        trusted = frozenset(trusted_proxies)
        self._hsts = Hsts(hsts, public_url, trusted)
        self._ring = KeyRing.of(keys) if isinstance(keys, SigningKey) else keys
        self._store = open_store(store) if isinstance(store, str) else store
        self._remembers = memory is not None
        provides, follower = _remembering(memory)
        server_limits = server_limits or ServerLimits()
        self._streams = Streams(server_limits)
        old = "0.3" in check_versions(versions)
        operations = Operations(self._streams)
        old_operations = OldOperations(self._streams) if old else None
        self._rpc = JsonRpc(operations, server_limits, self._streams, old_operations)
        self._operations, self._server_limits = operations, server_limits
        self.endpoints: list[Endpoint] = [
            Endpoint(
                agent,
                self._store,
                limits or Limits(),
                server_limits,
                self._admission(agent, authenticator, access, trust, anonymous),
                guards,
                transport,
                self._ring,
                resolver(agent.id) if callable(resolver) else resolver,
                trust,
                extended_card,
                old=old,
                bindings=bindings,
                push=(PushPolicy() if push else None) if isinstance(push, bool) else push,
                sandbox=tool_sandbox,
                provides=provides,
                follower=follower,
            )
            for agent in map(as_agent, agents)
        ]
        self._check_tools(tool_sandbox or {})
        if access is not None:
            access.check_agents(endpoint.agent.id for endpoint in self.endpoints)
        if extended_card is not None and authenticator is None and self._ring is None:
            raise ConfigError(
                "the extended card is for callers who say who they are, and here nobody can",
                hint="give an authenticator, or keys for call tokens",
            )
        self._places = self._place()
        self._pages = Pages(self._places, self._ring, public_url, trusted)
        self._called = self._places if "JSONRPC" in bindings else {}
        self._rest = Rest(operations, server_limits, self._streams)
        self._resources = Resources(self._places if "HTTP+JSON" in bindings else {})
        self._old_rest = OldRest(server_limits, self._streams, self._resources, self._places) if old else None
        self.grpc: GrpcPort | None = None
        if grpc_port is not None:
            base = public_url.rstrip("/") if public_url is not None else None
            self.grpc = GrpcPort(grpc_host, grpc_port, grpc_address, base, signs=self._ring is not None, tls=grpc_tls)
            for endpoint in self.endpoints:
                endpoint.cards.grpc = self.grpc
        if self._store.durable:
            for endpoint in self.endpoints:
                warn_of_forgetting(endpoint.agent)
        self._observer: Observer | None = None
        self._looked = False
        self._draining = False
        self._closed = False

    def _admission(
        self,
        agent: Agent,
        authenticator: Authenticator | None,
        access: Access | None,
        trust: TrustStore | None,
        anonymous: bool | None,
    ) -> Admission | None:
        ways = [authenticator] if authenticator is not None else []
        if anonymous is None:
            anonymous = authenticator is None and access is None
        if self._ring is not None:
            ways.insert(0, call_tokens(agent.id, self._ring, trust, lenient=anonymous))
        return admission(agent.id, ways, access, anonymous=anonymous)

    def _check_tools(self, named: Mapping[str, Sandboxing]) -> None:
        known = {tool.name for endpoint in self.endpoints for tool in endpoint.agent.tools}
        for name in check_sandboxing(named):
            if name not in known:
                hint = f"there are {', '.join(sorted(known))}" if known else "they have none"
                raise ConfigError(f"tool_sandbox names {name!r}, which no agent here has as a tool", hint=hint)

    def _place(self) -> dict[str, Endpoint]:
        if not self.endpoints:
            raise ConfigError("there is no agent to serve", hint="App(my_agent)")
        if len(self.endpoints) == 1:
            return {"": self.endpoints[0]}
        places = {f"/{endpoint.agent.id}": endpoint for endpoint in self.endpoints}
        for place, endpoint in places.items():
            endpoint.place = place
        if len(places) < len(self.endpoints):
            ids = sorted(endpoint.agent.id for endpoint in self.endpoints)
            raise ConfigError(f"two agents have one id: {', '.join(ids)}", hint="give them ids: @agent(id=...)")
        return places

    @property
    def places(self) -> Sequence[str]:
        """The paths of the agents, "" for the root."""
        return list(self._places)

    @property
    def open_streams(self) -> int:
        """How many streams are being read now."""
        return len(self._streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._run_lifespan(scope, receive, send)
            return
        if self._hsts.behind_proxy or scope.get("scheme") == "https":
            send = self._hsts.over(scope, send)
        path = path_of(scope)
        endpoint: Endpoint | None = self._called.get(path)
        binding: JsonRpc | RestRequest = self._rpc
        if endpoint is None or scope["method"] != "POST":
            found = self._find(path, scope)
            if found is None:
                await self._pages.answer(path, scope, send, draining=self._draining)
                return
            endpoint, binding = found
        if endpoint.admission is None:
            headers, caller = headers_of(scope), None
        else:
            headers = self._headers(endpoint, scope)
            caller = await endpoint.admission.visitor(headers) if endpoint.admission.hidden else None
            if caller is None and endpoint.admission.hidden:
                await nothing_here(send)  # for a stranger
                return
        trail = Trail(headers)
        token = TRAIL.set(trail)  # in memory, the request is part of the caller's own task
        try:
            if self._looked and self._observer is None:
                await binding.respond(endpoint, headers, receive, send, caller=caller)
            else:
                respond = partial(binding.respond, endpoint, headers, receive, send, caller=caller)
                await self._observe(endpoint, trail, respond, binding.system)
        finally:
            TRAIL.reset(token)

    def _find(self, path: str, scope: Scope) -> tuple[Endpoint, RestRequest] | None:
        """The resource of an agent that a request is for; None for what else is here."""
        found = self._old_rest.find(path, scope) if self._old_rest is not None else None
        if found is None and (resource := self._resources.find(path, encoded_path(scope, path))) is not None:
            found = resource, self._rest.request(resource, scope)
        return None if found is None else (found[0].endpoint, found[1])

    async def _observe(
        self, endpoint: Endpoint, trail: Trail, respond: Callable[..., Awaitable[None]], system: str
    ) -> None:
        """Answer while somebody watches, or before it is known whether anybody does."""
        self._look_for_observers()
        if self._observer is None:
            await respond()
        else:
            await self._observer.request(endpoint.agent, trail, respond, system)

    def _headers(self, endpoint: Endpoint, scope: Scope) -> Headers:
        """The headers for an agent that asks who calls."""
        headers = with_address(scope)
        if endpoint.extend is not None:
            base = self._pages.base(scope, headers)
            jku = f"{base}{JWKS_PATH}" if self._pages.signs(base, scope) else ""
            headers[CARD_URL] = f"{base}{endpoint.place}/ {jku}".encode()
        return headers

    async def start(self) -> None:
        """Open the store and take up what an earlier process left. The first request does it, too.

        Raises:
            ConfigError: an agent needs a memory, and there is none.
        """
        if not self._remembers:
            for endpoint in self.endpoints:
                check_memory(endpoint.agent)
        self._look_for_observers()
        await asyncio.gather(*(endpoint.manager.start() for endpoint in self.endpoints))
        if self.grpc is not None:
            endpoints = {endpoint.agent.id: endpoint for endpoint in self.endpoints}
            await self.grpc.start(endpoints, self._operations, self._streams, self._server_limits, self._observer)

    def _look_for_observers(self) -> None:
        """Whether anybody traces or logs requests is decided once, at the start; nobody costs nothing."""
        if self._looked:
            return
        self._looked = True
        self._observer = open_observer()
        if self._observer is not None:
            for endpoint in self.endpoints:
                endpoint.observe(self._observer)

    async def dead_letters(self) -> list[DeadLetter]:
        """The push configurations whose delivery was given up, agent by agent, the oldest first."""
        found = await asyncio.gather(*(endpoint.manager.dead_letters() for endpoint in self.endpoints))
        return [letter for letters in found for letter in letters]

    async def revive_dead_letters(self, task_id: str | None = None) -> int:
        """Let dead letters, of one task or of all, go out again from where they stopped; how many there were."""
        return sum(
            await asyncio.gather(*(endpoint.manager.revive_dead_letters(task_id) for endpoint in self.endpoints))
        )

    async def drain(self) -> None:
        """Refuse new messages, wait for running turns up to `limits.drain`, end streams cleanly."""
        if not self._draining:
            self._tell_of_drain()
        self._draining = True
        await asyncio.gather(*(endpoint.manager.drain() for endpoint in self.endpoints))
        self._streams.close()

    def _tell_of_drain(self) -> None:
        at_work = {manager: manager.running for endpoint in self.endpoints if (manager := endpoint.manager).running}
        if at_work:
            number, longest = sum(at_work.values()), max(manager.limits.drain for manager in at_work)
            turns = "turn" if number == 1 else "turns"
            _logger.info("draining: waiting for %d running %s, for %g s at most", number, turns, longest)

    async def close(self) -> None:
        """Drain, and let the store go."""
        if not self._closed:
            self._closed = True
            await self.drain()
            if self.grpc is not None:
                await self.grpc.stop()
            for endpoint in self.endpoints:
                await endpoint.manager.close()

    @asynccontextmanager
    async def lifespan(self, app: ASGIApp) -> AsyncGenerator[None]:
        """The lifespan to give to the application this one is mounted in."""
        await self.start()
        try:
            yield
        finally:
            await self.close()

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            raise RuntimeError(f"codin serves HTTP, not {scope['type']!r}")
        started = False
        try:
            while True:
                message: dict[str, Any] = dict(await receive())
                if message["type"] == "lifespan.startup":
                    await self.start()
                    started = True
                    await send({"type": "lifespan.startup.complete"})
                else:
                    await self.close()
                    await send({"type": "lifespan.shutdown.complete"})
                    return
        except Exception as error:
            kind = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{kind}.failed", "message": str(error)})
            raise


def _remembering(memory: Memories | str | None) -> tuple[Provides | None, Follower | None]:
    """What tasks are given of a memory, and who writes it."""
    if memory is None:
        return None, None
    from codin.memory import Memories, Memory  # a server without a memory loads none

    memories = Memories(memory) if isinstance(memory, str) else memory
    return {Memory: memories.in_task}, memories
