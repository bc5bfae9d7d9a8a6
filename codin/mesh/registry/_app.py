"""A registry over HTTP. specs/registry.json describes it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from codin import a2a
from codin.errors import ConfigError, StoreError, TokenRefused
from codin.mesh._catalog import CATALOG_PATH, CATALOG_TYPE, catalog_of
from codin.mesh._reader import Reader
from codin.mesh.registry._meaning import Embed
from codin.mesh.registry._problem import Problem
from codin.mesh.registry._proof import PROOF_HEADER, Proof, read_proof
from codin.mesh.registry._protocol import Registration, RegistryLimits, RegistryStore
from codin.mesh.registry._registrar import Registrar, Wish
from codin.mesh.registry._wire import written
from codin.net import AddressGuard, Transport
from codin.trust import PEER_ADDRESS, Authenticator, KeyRing

__all__ = ["RegistryApp"]

_LONGEST_WORD = 1024
_LONGEST_CATALOG = 1000
_PING = 15


class RegistryApp:
    """An ASGI application where agents register, and are found. It starts with its first request or its lifespan.

    It verifies every card and says of each whether it did; of the others it says nothing.

    Args:
        store: a `RegistryStore` or its URL: `memory://`, `sqlite:///registry.db`.
        public_url: where agents reach it. A signed request is for one address: without this one it is the address that
            the request names itself, so somebody who gets hold of a request may repeat it at another registry.
        authenticator: who may read and register; without one, everybody.
        allow_unsigned: take agents without a key, too. Their cards are found, and are not verified.
        keys: of whoever runs it. An agent with one of them that counts has its name, whoever had it before; nothing is
            taken from one that was revoked. What changes in the ring counts at once.
        embed: makes vectors of texts, for a search by meaning.
        probe: seconds between two looks at every card, which give health and latency; None never looks.
        transport: how it looks; None makes one that calls nothing further inside than the registry itself is.
        limits: its bounds.

    Attributes:
        watchers: how many streams of changes are being read now.

    Raises:
        ConfigError: there is no such store.
    """

    def __init__(
        self,
        store: RegistryStore | str = "memory://",
        *,
        public_url: str | None = None,
        authenticator: Authenticator | None = None,
        allow_unsigned: bool = False,
        keys: KeyRing | None = None,
        embed: Embed | None = None,
        probe: float | None = None,
        transport: Transport | None = None,
        limits: RegistryLimits | None = None,
    ) -> None:
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._authenticator = authenticator
        self._limits = limits or RegistryLimits()
        self._registrar = Registrar(
            _open_store(store) if isinstance(store, str) else store,
            self._limits,
            allow_unsigned=allow_unsigned,
            own=keys,
            embed=embed,
            probe=probe,
            reader=Reader(transport, guard=AddressGuard(named_by=public_url)),
        )
        self._starting = asyncio.Lock()
        self._started = False
        self.watchers: int = 0
        self._app = Starlette(
            routes=[
                Route("/v1/agents", self._search, methods=["GET"]),
                Route("/v1/agents", self._register, methods=["POST"]),
                Route("/v1/agents/{key}", self._get, methods=["GET"]),
                Route("/v1/agents/{key}", self._drop, methods=["DELETE"]),
                Route("/v1/agents/{key}/heartbeat", self._beat, methods=["POST"]),
                Route("/v1/watch", self._watch, methods=["GET"]),
                Route(CATALOG_PATH, self._catalog, methods=["GET"]),
                Route("/healthz", self._healthz, methods=["GET"]),
            ],
            exception_handlers={
                Problem: _problem,
                TokenRefused: _refused,
                a2a.InvalidParams: _wrong,
                StoreError: _broken,
            },
            lifespan=self.lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.start()
        await self._app(scope, receive, send)

    async def start(self) -> None:
        """Open the store. The first request does it, too."""
        async with self._starting:
            if not self._started:
                await self._registrar.start()
                self._started = True

    async def close(self) -> None:
        """End the streams, and close the store."""
        async with self._starting:
            if self._started:
                self._started = False
                await self._registrar.stop()

    def end_streams(self) -> None:
        """Let every reader of changes go, so that a server that is told to stop does not wait for them."""
        self._registrar.changes.close()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """The lifespan to give to the application this one is mounted in."""
        await self.start()
        try:
            yield
        finally:
            await self.close()

    # -- routes --------------------------------------------------------------------------------------------------------

    async def _search(self, request: Request) -> Response:
        await self._caller(request)
        page = await self._registrar.search(self._wish(request))
        return _json({"agents": _listed(page.found), "next": page.next})

    async def _register(self, request: Request) -> Response:
        owner = await self._caller(request)
        body = await self._body(request)
        registration, new = await self._registrar.register(body, owner, self._proof(request, body))
        return _json(_receipt(registration), status=201 if new else 200)

    async def _get(self, request: Request) -> Response:
        await self._caller(request)
        registration = await self._registrar.get(request.path_params["key"])
        return _json(written(registration, time.time()))

    async def _beat(self, request: Request) -> Response:
        owner = await self._caller(request)
        body = await self._body(request)
        proof = self._proof(request, body)
        return _json(_receipt(await self._registrar.beat(request.path_params["key"], body, owner, proof)))

    async def _drop(self, request: Request) -> Response:
        owner = await self._caller(request)
        await self._registrar.drop(request.path_params["key"], owner, self._proof(request, b""))
        return Response(status_code=204)

    async def _watch(self, request: Request) -> Response:
        from sse_starlette import EventSourceResponse
        from sse_starlette.sse import AppStatus

        await self._caller(request)
        if self.watchers >= self._limits.max_watchers:
            raise Problem(429, "TOO_MANY", f"{self.watchers} streams are being read, as many as may be")
        AppStatus.disable_automatic_graceful_drain()  # `end_streams` ends them
        return EventSourceResponse(
            self._events(request.headers.get("last-event-id")), ping=_PING, send_timeout=self._limits.patience
        )

    async def _events(self, after: str | None) -> AsyncIterator[dict[str, str]]:
        self.watchers += 1
        try:
            async for change in self._registrar.changes.read(after):
                yield {"id": change.id, "event": change.event, "data": json.dumps(change.agent)}
        finally:
            self.watchers -= 1

    async def _catalog(self, request: Request) -> Response:
        """That this is a registry everybody may know; who is in it, those who may read it."""
        found: Sequence[Registration] = []
        with suppress(Problem, TokenRefused):
            await self._caller(request)
            found = (await self._registrar.search(Wish(limit=_LONGEST_CATALOG))).found
        cards = [(f"urn:codin:agent:{each.key}", each.url) for each in found]
        catalog = catalog_of("codin registry", cards, registry=True)
        return Response(json.dumps(catalog), media_type=CATALOG_TYPE, headers={"Cache-Control": "no-store"})

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _caller(self, request: Request) -> str:
        """Who asks: the owner of what is registered. Raises Problem."""
        address = request.client.host if request.client is not None else "unknown"
        if self._authenticator is None:
            return f"address:{address}"
        headers = {**dict(request.headers.raw), PEER_ADDRESS: address.encode()}
        try:
            caller, why = await self._authenticator.authenticate(headers), "this registry wants a credential"
        except TokenRefused as error:
            caller, why = None, error.message
        if caller is None:
            challenge = getattr(self._authenticator, "challenge", "Bearer")
            raise Problem(
                401,
                "WHO_ARE_YOU",
                why,
                hint="the client takes token=…, the command line CODIN_REGISTRY_TOKEN",
                headers={"WWW-Authenticate": challenge},
            )
        return f"caller:{caller.tenant}:{caller.id}"

    async def _body(self, request: Request) -> bytes:
        limit = self._limits.max_body
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.patience):
                async for piece in request.stream():
                    size += len(piece)
                    if size > limit:
                        raise Problem(413, "TOO_LARGE", f"a request has at most {limit} bytes")
                    pieces.append(piece)
        except TimeoutError:
            raise Problem(408, "TOO_SLOW", "the request did not come in time") from None
        except ClientDisconnect:
            raise Problem(400, "NOT_COMPLETE", "the request was not complete") from None
        return b"".join(pieces)

    def _proof(self, request: Request, body: bytes) -> Proof | None:
        token = request.headers.get(PROOF_HEADER)
        if token is None:
            return None
        base = self._public_url
        if base is None:
            base = str(request.base_url).rstrip("/")
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        return read_proof(token, request.method, f"{base}{path}", body)

    def _wish(self, request: Request) -> Wish:
        given = request.query_params
        if any(len(value) > _LONGEST_WORD for value in given.values()):
            raise Problem(400, "TOO_LARGE", f"a condition has at most {_LONGEST_WORD} characters")
        limit = given.get("limit", "20")
        if not re.fullmatch(r"[1-9]\d{0,5}", limit):
            raise Problem(400, "NOT_COMPLETE", "`limit` is a number from 1 on")
        return Wish(
            name=given.get("name"),
            skill=given.get("skill"),
            tag=given.get("tag"),
            text=given.get("text"),
            near=given.get("near"),
            gone=given.get("gone") == "true",
            limit=min(int(limit), self._limits.max_page),
            cursor=given.get("cursor"),
        )


def _open_store(url: str) -> RegistryStore:
    from codin.mesh.registry._sqlite import SQLiteRegistryStore

    if url == "memory://":
        return SQLiteRegistryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLiteRegistryStore(url.removeprefix("sqlite:///"))
    raise ConfigError(f"there is no registry store {url!r}", hint="memory://, or sqlite:///registry.db")


def _listed(found: Sequence[Registration]) -> list[Mapping[str, object]]:
    now = time.time()
    return [written(each, now) for each in found]


def _receipt(registration: Registration) -> dict[str, object]:
    return {
        "key": registration.key,
        "id": registration.agent,
        "identity": registration.identity,
        "verified": registration.verified,
        "ttl": registration.ttl,
    }


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(value, status, {"Cache-Control": "no-store", **(headers or {})})


def _error(problem: Problem) -> Response:
    error = {"reason": problem.reason, "message": problem.message, "hint": problem.hint}
    return _json({"error": error}, problem.status, problem.headers)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _error(error)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, TokenRefused)
    return _error(Problem(403, "PROOF_REFUSED", error.message, hint=error.hint))


async def _wrong(_: Request, error: Exception) -> Response:
    assert isinstance(error, a2a.InvalidParams)
    return _error(Problem(400, "NO_CURSOR", error.message))


async def _broken(_: Request, error: Exception) -> Response:
    return _error(Problem(503, "STORE", "the registry's store fails", hint="try again later"))
