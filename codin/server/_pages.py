"""What can be read of a server by GET: its cards, lists of its agents, its keys, how it is."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from pydantic_core import to_json
from starlette.types import Scope, Send

from codin import a2a
from codin.server._endpoint import Endpoint
from codin.server._http import JSON, Headers, answer, headers_of
from codin.server._jwks import JWKS_PATH, answer_keys
from codin.server._urls import base_url, is_own
from codin.trust import PEER_ADDRESS, KeyRing

__all__ = ["CARD_PATH", "Pages", "nothing_here", "with_address"]

_logger = logging.getLogger("codin.server")

CARD_PATH = "/.well-known/agent-card.json"
_CATALOG_PATH = "/.well-known/ai-catalog.json"
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)


class Pages:
    """The pages of a server.

    Args:
        places: its agents, by path.
        ring: its keys, if it has any.
        public_url: where it is reached, if it was told.
        trusted: the proxies whose word on that counts.
    """

    def __init__(
        self, places: Mapping[str, Endpoint], ring: KeyRing | None, public_url: str | None, trusted: Collection[str]
    ) -> None:
        self._places = places
        self._ring = ring
        self._public_url = public_url
        self._trusted = trusted
        self._is_told = False

    async def answer(self, path: str, scope: Scope, send: Send, *, draining: bool) -> None:
        """Answer what no agent answers itself, be it there or not."""
        reads = scope["method"] in {"GET", "HEAD"}
        places = await self._visible(path, scope)
        card = places.get(path.removesuffix(CARD_PATH)) if path.endswith(CARD_PATH) else None
        if not path and reads:
            await self._list(places, scope, send)
        elif path in places:
            fields = (*_TEXT, (b"allow", b"POST" if path else b"GET, HEAD, POST"))
            await answer(send, b"POST a JSON-RPC request here.\n", status=405, headers=fields)
        elif card is None and path not in self._others:
            await nothing_here(send)
        elif not reads:
            fields = (*_TEXT, (b"allow", b"GET, HEAD"))
            await answer(send, b"GET only.\n", status=405, headers=fields)
        elif card is not None:
            headers = headers_of(scope)
            base = self.base(scope, headers)
            jku = f"{base}{JWKS_PATH}" if self.signs(base, scope) else None
            await card.cards.answer(send, headers, f"{base}{path.removesuffix(CARD_PATH)}/", jku)
        elif path == _CATALOG_PATH:
            await self._catalog(places, scope, send)
        elif path == JWKS_PATH and self._ring is not None:
            await answer_keys(send, headers_of(scope), self._ring)
        elif path == "/readyz" and draining:
            await answer(send, b"draining\n", status=503, headers=_TEXT)
        else:
            await answer(send, b"ok\n", headers=_TEXT)

    def base(self, scope: Scope, headers: Headers) -> str:
        """The address that a request came to, without the path."""
        return base_url(scope, headers, self._public_url, self._trusted)

    def signs(self, base: str, scope: Scope) -> bool:
        """Whether the card for this address is signed; the first one that is not, though there are keys, is told of."""
        if self._ring is None or is_own(base, scope, self._public_url):
            return self._ring is not None
        if not self._is_told:
            self._is_told = True
            _logger.warning(
                "the card asked for at %s is not signed, because that may be anybody's name; "
                "public_url (--public-url) says where this server is reached",
                base,
            )
        return False

    async def _visible(self, path: str, scope: Scope) -> Mapping[str, Endpoint]:
        """The agents that whoever asks for this path may know of."""
        if not any(endpoint.admission is not None and endpoint.admission.hidden for endpoint in self._places.values()):
            return self._places
        headers, asked = with_address(scope), path.removesuffix(CARD_PATH)
        lists = path in {"", _CATALOG_PATH}
        places: dict[str, Endpoint] = {}
        for place, endpoint in self._places.items():
            hides = endpoint.admission if endpoint.admission is not None and endpoint.admission.hidden else None
            if hides is None or ((lists or place == asked) and await hides.visitor(headers) is not None):
                places[place] = endpoint
        return places

    @property
    def _others(self) -> Collection[str]:
        """What can be read here beside cards."""
        others = {"/healthz", "/readyz", _CATALOG_PATH}
        return others | {JWKS_PATH} if self._ring is not None else others

    async def _list(self, places: Mapping[str, Endpoint], scope: Scope, send: Send) -> None:
        """Who is served here, and where the cards are."""
        base = self.base(scope, headers_of(scope))
        agents = [
            {"id": endpoint.agent.id, "name": endpoint.agent.name, "card": f"{base}{place}{CARD_PATH}"}
            for place, endpoint in places.items()
        ]
        await answer(send, to_json({"agents": agents}, indent=2) + b"\n", headers=[JSON, (b"vary", b"host")])

    async def _catalog(self, places: Mapping[str, Endpoint], scope: Scope, send: Send) -> None:
        """The same for everybody's crawlers."""
        from codin.mesh import CATALOG_TYPE, catalog_of  # a server that nobody crawls does not load it

        base = self.base(scope, headers_of(scope))
        cards = [f"{base}{place}{CARD_PATH}" for place in places]
        document = catalog_of(urlsplit(base).netloc, [(card, card) for card in cards])
        fields = [(b"content-type", CATALOG_TYPE.encode()), (b"vary", b"host")]
        await answer(send, to_json(document, indent=2) + b"\n", headers=fields)


def with_address(scope: Scope) -> Headers:
    """The headers, and where they came from; no client can say that itself."""
    headers = headers_of(scope)
    client = scope.get("client")
    headers[PEER_ADDRESS] = str(client[0]).encode() if client else b""
    return headers


_NOTHING = a2a.MethodNotFound("nothing is here", hint="a GET of the root lists the agents")


async def nothing_here(send: Send) -> None:
    await answer(send, a2a.status_bytes(_NOTHING), status=_NOTHING.http_status)
