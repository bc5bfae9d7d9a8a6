"""The ASGI application that serves agents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_json
from starlette.types import ASGIApp, Receive, Scope, Send

from codin.agent import Agent, as_agent
from codin.errors import ConfigError
from codin.net import Transport
from codin.server._admission import Admission, admission, call_tokens
from codin.server._endpoint import Endpoint
from codin.server._http import JSON, Headers, answer, headers_of
from codin.server._jsonrpc import JsonRpc
from codin.server._jwks import JWKS_PATH, answer_keys
from codin.server._limits import ServerLimits
from codin.server._observer import Observer, open_observer
from codin.server._operations import Operations
from codin.server._stream import Streams
from codin.server._urls import base_url, is_own, path_of
from codin.task import Guard, Limits, Resolver, TaskStore, open_store
from codin.telemetry import TRAIL, Trail
from codin.trust import PEER_ADDRESS, Access, Authenticator, Caller, KeyRing, SigningKey, TrustStore

__all__ = ["App"]

_logger = logging.getLogger("codin.server")

CARD_PATH = "/.well-known/agent-card.json"
_CATALOG_PATH = "/.well-known/ai-catalog.json"
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)


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
        limits: bounds of tasks.
        server_limits: bounds of requests and streams.

    Raises:
        ConfigError: no agent, an object that cannot be served, or two agents with one id.
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
        limits: Limits | None = None,
        server_limits: ServerLimits | None = None,
    ) -> None:
        self._public_url = public_url
        self._trusted = frozenset(trusted_proxies)
        self._ring = KeyRing.of(keys) if isinstance(keys, SigningKey) else keys
        self._is_told_of_names = False
        self._store = open_store(store) if isinstance(store, str) else store
        server_limits = server_limits or ServerLimits()
        self._streams = Streams(server_limits)
        self._rpc = JsonRpc(Operations(self._streams), server_limits, self._streams)
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
            )
            for agent in map(as_agent, agents)
        ]
        if access is not None:
            access.check_agents(endpoint.agent.id for endpoint in self.endpoints)
        self._places = self._place()
        self._warn_of_forgetting()
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

    def _place(self) -> dict[str, Endpoint]:
        if not self.endpoints:
            raise ConfigError("there is no agent to serve", hint="App(my_agent)")
        if len(self.endpoints) == 1:
            return {"": self.endpoints[0]}
        places = {f"/{endpoint.agent.id}": endpoint for endpoint in self.endpoints}
        if len(places) < len(self.endpoints):
            ids = sorted(endpoint.agent.id for endpoint in self.endpoints)
            raise ConfigError(f"two agents have one id: {', '.join(ids)}", hint="give them ids: @agent(id=...)")
        return places

    def _warn_of_forgetting(self) -> None:
        """A store that keeps a question over a restart is a promise that the agent behind it may not keep."""
        for endpoint in self.endpoints:
            if self._store.durable and not getattr(endpoint.agent, "durable", True):
                _logger.warning(
                    "the task store is durable, but %r keeps its own state in memory: what it has asked cannot be "
                    "answered after a restart; give a LangGraph graph a durable checkpointer",
                    endpoint.agent.name,
                )

    @property
    def places(self) -> Sequence[str]:
        """The paths of the agents, "" for the root."""
        return list(self._places)

    @property
    def open_streams(self) -> int:
        """How many streams are being read now."""
        return len(self._streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = path_of(scope)
            endpoint = self._places.get(path)
            if endpoint is None or scope["method"] != "POST":
                await self._get(path, scope, send)
            elif endpoint.admission is None:
                await self._respond(endpoint, headers_of(scope), receive, send)
            elif endpoint.admission.hidden:
                await self._admit(endpoint, endpoint.admission, scope, receive, send)
            else:
                await self._respond(endpoint, _with_address(scope), receive, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            raise RuntimeError(f"codin serves HTTP, not {scope['type']!r}")

    async def _admit(
        self, endpoint: Endpoint, admission: Admission, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a POST to a hidden agent, where a stranger finds nothing."""
        headers = _with_address(scope)
        caller = await admission.visitor(headers)
        if caller is None:
            await _nothing_here(send)
        else:
            await self._respond(endpoint, headers, receive, send, caller)

    async def _visible(self, path: str, scope: Scope) -> dict[str, Endpoint]:
        """The agents that whoever asks for this path may know of."""
        if not any(endpoint.admission is not None and endpoint.admission.hidden for endpoint in self.endpoints):
            return self._places
        headers, asked = _with_address(scope), path.removesuffix(CARD_PATH)
        lists = path in {"", _CATALOG_PATH}
        places: dict[str, Endpoint] = {}
        for place, endpoint in self._places.items():
            hides = endpoint.admission if endpoint.admission is not None and endpoint.admission.hidden else None
            if hides is None or ((lists or place == asked) and await hides.visitor(headers) is not None):
                places[place] = endpoint
        return places

    async def _respond(
        self, endpoint: Endpoint, headers: Headers, receive: Receive, send: Send, caller: Caller | None = None
    ) -> None:
        if not self._looked:
            self._look_for_observers()
        trail = Trail(headers)
        token = TRAIL.set(trail)  # in memory, the request is part of the caller's own task
        try:
            if self._observer is None:
                await self._rpc.respond(endpoint, headers, receive, send, caller=caller)
            else:
                respond = partial(self._rpc.respond, endpoint, headers, receive, send, caller=caller)
                await self._observer.request(endpoint.agent, trail, respond)
        finally:
            TRAIL.reset(token)

    async def _get(self, path: str, scope: Scope, send: Send) -> None:
        reads = scope["method"] in {"GET", "HEAD"}
        places = await self._visible(path, scope)
        card = places.get(path.removesuffix(CARD_PATH)) if path.endswith(CARD_PATH) else None
        if not path and reads:
            await self._list(places, scope, send)
        elif path in places:
            fields = (*_TEXT, (b"allow", b"POST" if path else b"GET, HEAD, POST"))
            await answer(send, b"POST a JSON-RPC request here.\n", status=405, headers=fields)
        elif card is None and path not in self._others:
            await _nothing_here(send)
        elif not reads:
            fields = (*_TEXT, (b"allow", b"GET, HEAD"))
            await answer(send, b"GET only.\n", status=405, headers=fields)
        elif card is not None:
            headers = headers_of(scope)
            base = base_url(scope, headers, self._public_url, self._trusted)
            jku = f"{base}{JWKS_PATH}" if self._signs(base, scope) else None
            await card.cards.answer(send, headers, f"{base}{path.removesuffix(CARD_PATH)}/", jku)
        elif path == _CATALOG_PATH:
            await self._catalog(places, scope, send)
        elif path == JWKS_PATH and self._ring is not None:
            await answer_keys(send, headers_of(scope), self._ring)
        elif path == "/readyz" and self._draining:
            await answer(send, b"draining\n", status=503, headers=_TEXT)
        else:
            await answer(send, b"ok\n", headers=_TEXT)

    @property
    def _others(self) -> Collection[str]:
        """What can be read here beside cards."""
        others = {"/healthz", "/readyz", _CATALOG_PATH}
        return others | {JWKS_PATH} if self._ring is not None else others

    def _signs(self, base: str, scope: Scope) -> bool:
        """Whether the card for this address is signed; the first one that is not, though there are keys, is told of."""
        if self._ring is None or is_own(base, scope, self._public_url):
            return self._ring is not None
        if not self._is_told_of_names:
            self._is_told_of_names = True
            _logger.warning(
                "the card asked for at %s is not signed, because that may be anybody's name; "
                "public_url (--public-url) says where this server is reached",
                base,
            )
        return False

    async def _list(self, places: Mapping[str, Endpoint], scope: Scope, send: Send) -> None:
        """Who is served here, and where the cards are."""
        base = base_url(scope, headers_of(scope), self._public_url, self._trusted)
        agents = [
            {"id": endpoint.agent.id, "name": endpoint.agent.name, "card": f"{base}{place}{CARD_PATH}"}
            for place, endpoint in places.items()
        ]
        await answer(send, to_json({"agents": agents}, indent=2) + b"\n", headers=[JSON, (b"vary", b"host")])

    async def _catalog(self, places: Mapping[str, Endpoint], scope: Scope, send: Send) -> None:
        """The same for everybody's crawlers."""
        from codin.mesh import CATALOG_TYPE, catalog_of  # a server that nobody crawls does not load it

        base = base_url(scope, headers_of(scope), self._public_url, self._trusted)
        cards = [f"{base}{place}{CARD_PATH}" for place in places]
        document = catalog_of(urlsplit(base).netloc, [(card, card) for card in cards])
        fields = [(b"content-type", CATALOG_TYPE.encode()), (b"vary", b"host")]
        await answer(send, to_json(document, indent=2) + b"\n", headers=fields)

    async def start(self) -> None:
        """Open the store and take up what an earlier process left. The first request does it, too."""
        self._look_for_observers()
        await asyncio.gather(*(endpoint.manager.start() for endpoint in self.endpoints))

    def _look_for_observers(self) -> None:
        """Whether anybody traces or logs requests is decided once, at the start; nobody costs nothing."""
        if self._looked:
            return
        self._looked = True
        self._observer = open_observer()
        if self._observer is not None:
            for endpoint in self.endpoints:
                endpoint.observe(self._observer)

    async def drain(self) -> None:
        """Refuse new messages, wait for running turns up to `limits.drain`, end streams cleanly."""
        self._draining = True
        await asyncio.gather(*(endpoint.manager.drain() for endpoint in self.endpoints))
        self._streams.close()

    async def close(self) -> None:
        """Drain, and let the store go."""
        if not self._closed:
            self._closed = True
            await self.drain()
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

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
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


def _with_address(scope: Scope) -> Headers:
    """The headers, and where they came from; no client can say that itself."""
    headers = headers_of(scope)
    client = scope.get("client")
    headers[PEER_ADDRESS] = str(client[0]).encode() if client else b""
    return headers


async def _nothing_here(send: Send) -> None:
    await answer(send, b"Nothing here; a GET of the root lists the agents.\n", status=404, headers=_TEXT)
