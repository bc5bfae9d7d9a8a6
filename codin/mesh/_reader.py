"""Reading what others publish about agents: cards, catalogs, lists. Bounded in size and time."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from codin import a2a
from codin.a2a.v03 import card_of
from codin.errors import BadResponse, CodinError
from codin.net import AddressGuard, Response, Transport, open_transport

__all__ = ["CARD_PATH", "Reader", "card_places"]

CARD_PATH = "/.well-known/agent-card.json"
_MAX_CARD = 256 * 1024
_NOT_THERE = frozenset({404, 405, 410})


class Reader:
    """Gets documents over HTTP.

    Args:
        transport: what `codin.connect` takes; one that is handed in stays open, and guards itself.
        guard: of a transport that is made here: the addresses are named by others.
        timeout: seconds for each document.
    """

    def __init__(
        self, transport: Transport | str | None = None, *, guard: AddressGuard | None = None, timeout: float = 10.0
    ) -> None:
        self._given = transport
        self._guard = guard
        self._opened: Transport | None = None
        self._timeout = timeout

    @property
    def transport(self) -> Transport:
        """The transport, opened when it is first used."""
        if self._given is not None and not isinstance(self._given, str):
            return self._given
        if self._opened is None:
            self._opened = open_transport(self._given, guard=self._guard)
        return self._opened

    async def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Response:
        """A document of at most `limit` bytes, whatever its status. Raises TransportError."""
        asked = {"Accept": "application/json", **(headers or {})}
        return await self.transport.request("GET", url, headers=asked, timeout=self._timeout, limit=limit)

    async def card(self, url: str, *, document: bool = False) -> tuple[a2a.AgentCard, str]:
        """The card of the agent at `url`, and where it was.

        Args:
            document: it is the card itself that is there.

        Raises:
            BadResponse: there is none, or what is there is no card.
            TransportError: nobody could be asked.
        """
        places = [url] if document else card_places(url)
        for place in places:
            response = await self.get(place, limit=_MAX_CARD, headers={"A2A-Version": "1.0"})
            if response.status in _NOT_THERE:
                continue
            if response.status != 200:
                raise BadResponse(f"{place} answers {response.status} instead of a card.")
            try:
                return card_of(response.body), place
            except CodinError as error:
                raise BadResponse(f"What {place} answers is no agent card: {error.message}") from error
        raise BadResponse(f"There is no agent card at {' or '.join(places)}.")

    async def aclose(self) -> None:
        """Close what was opened here."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None


def card_places(url: str) -> list[str]:
    """Where an agent's card may be: at its URL, if that is a document; below its path; at its origin. Spec 8.2."""
    parts = urlsplit(url)
    if parts.path.endswith(".json"):
        return [url]
    origin = f"{parts.scheme}://{parts.netloc}"
    return list(dict.fromkeys([f"{origin}{parts.path.rstrip('/')}{CARD_PATH}", f"{origin}{CARD_PATH}"]))
