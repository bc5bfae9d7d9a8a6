"""The ASGI application that serves agents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic_core import to_json
from starlette.types import ASGIApp, Receive, Scope, Send

from codin.agent import as_agent
from codin.errors import ConfigError
from codin.net import Transport
from codin.server._auth import Authenticator
from codin.server._endpoint import Endpoint
from codin.server._http import JSON, answer, headers_of
from codin.server._jsonrpc import JsonRpc
from codin.server._limits import ServerLimits
from codin.server._stream import Streams
from codin.server._urls import base_url, path_of
from codin.task import Guard, Limits, TaskStore, open_store

__all__ = ["App"]

_logger = logging.getLogger("codin.server")

CARD_PATH = "/.well-known/agent-card.json"
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
        authenticator: who calls; without one all callers are one anonymous owner.
        guards: asked before a submit, a call and an outcome.
        transport: how `task.call` reaches other agents, as `codin.connect` takes it.
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
        guards: Sequence[Guard] = (),
        transport: Transport | str | None = None,
        limits: Limits | None = None,
        server_limits: ServerLimits | None = None,
    ) -> None:
        self._public_url = public_url
        self._trusted = frozenset(trusted_proxies)
        self._store = open_store(store) if isinstance(store, str) else store
        server_limits = server_limits or ServerLimits()
        self._streams = Streams(server_limits)
        self._rpc = JsonRpc(server_limits, self._streams, authenticator)
        self.endpoints: list[Endpoint] = [
            Endpoint(as_agent(agent), self._store, limits or Limits(), server_limits, authenticator, guards, transport)
            for agent in agents
        ]
        self._places = self._place()
        self._warn_of_forgetting()
        self._draining = False
        self._closed = False

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
            if endpoint is not None and scope["method"] == "POST":
                await self._rpc.respond(endpoint, headers_of(scope), receive, send)
            else:
                await self._get(path, scope, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            raise RuntimeError(f"codin serves HTTP, not {scope['type']!r}")

    async def _get(self, path: str, scope: Scope, send: Send) -> None:
        reads = scope["method"] in {"GET", "HEAD"}
        card = self._places.get(path.removesuffix(CARD_PATH)) if path.endswith(CARD_PATH) else None
        if not path and reads:
            await self._list(scope, send)
        elif path in self._places:
            fields = (*_TEXT, (b"allow", b"POST" if path else b"GET, HEAD, POST"))
            await answer(send, b"POST a JSON-RPC request here.\n", status=405, headers=fields)
        elif card is None and path not in {"/healthz", "/readyz"}:
            await answer(send, b"Nothing here; a GET of the root lists the agents.\n", status=404, headers=_TEXT)
        elif not reads:
            fields = (*_TEXT, (b"allow", b"GET, HEAD"))
            await answer(send, b"GET only.\n", status=405, headers=fields)
        elif card is not None:
            headers = headers_of(scope)
            base = base_url(scope, headers, self._public_url, self._trusted)
            await card.cards.answer(send, headers, f"{base}{path.removesuffix(CARD_PATH)}/")
        elif path == "/readyz" and self._draining:
            await answer(send, b"draining\n", status=503, headers=_TEXT)
        else:
            await answer(send, b"ok\n", headers=_TEXT)

    async def _list(self, scope: Scope, send: Send) -> None:
        """Who is served here, and where the cards are, which are public."""
        base = base_url(scope, headers_of(scope), self._public_url, self._trusted)
        agents = [
            {"id": endpoint.agent.id, "name": endpoint.agent.name, "card": f"{base}{place}{CARD_PATH}"}
            for place, endpoint in self._places.items()
        ]
        await answer(send, to_json({"agents": agents}, indent=2) + b"\n", headers=[JSON, (b"vary", b"host")])

    async def start(self) -> None:
        """Open the store and take up what an earlier process left. The first request does it, too."""
        await asyncio.gather(*(endpoint.manager.start() for endpoint in self.endpoints))

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
