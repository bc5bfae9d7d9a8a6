"""AI Catalogs: what a host publishes of its agents, crawled.

Source: the AI Catalog specification 1.0, ai-catalog.io.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urljoin, urlsplit

from pydantic_core import from_json

from codin import a2a
from codin.errors import BadResponse, CodinError
from codin.mesh._cards import Cards, select
from codin.mesh._directory import Found, describe
from codin.mesh._reader import CARD_PATH, Reader
from codin.net import AddressGuard, Transport

__all__ = ["CATALOG_PATH", "CATALOG_TYPE", "Catalog", "catalog_of"]

CATALOG_PATH = "/.well-known/ai-catalog.json"
CATALOG_TYPE = "application/ai-catalog+json"
_CARD_TYPE = "application/a2a-agent-card+json"
_REGISTRY = "codin.registry"  # an extension's key is an address or a reversed name
_MAX_BYTES = 4 * 1024 * 1024
_MAX_DEPTH = 4  # the specification's own advice
_MAX_DOCUMENTS = 64
_MAX_AGENTS = 10_000

_logger = logging.getLogger("codin.mesh")


def catalog_of(host: str, cards: Sequence[tuple[str, str]], *, registry: bool = False) -> dict[str, object]:
    """The catalog of the agents on a host.

    Args:
        host: a name for people.
        cards: an identifier and the address of the card, of each agent. The names stay in the cards: a copy drifts.
        registry: the host is one of codin's registries, so that a client asks it instead of reading all cards.
    """
    entries = [{"identifier": name, "type": _CARD_TYPE, "url": url} for name, url in cards]
    catalog: dict[str, object] = {"specVersion": "1.0", "host": {"displayName": host}, "entries": entries}
    return {**catalog, "extensions": {_REGISTRY: {}}} if registry else catalog


class Catalog:
    """The agents that an AI Catalog lists, those of nested catalogs among them. Other artifacts are passed over.

    Args:
        url: of the catalog, or of a host, which has it at `/.well-known/ai-catalog.json`.
        transport: how it is read, and the cards it names. None makes one that calls nothing further inside than the
            catalog itself is; one that is handed in guards itself.
        fresh: seconds for which neither is read again.
        or_card: a host without a catalog has perhaps the card of its one agent.

    Attributes:
        url: where the catalog is.
    """

    def __init__(
        self, url: str, *, transport: Transport | str | None = None, fresh: float = 300.0, or_card: bool = False
    ) -> None:
        path = urlsplit(url).path.strip("/")
        self.url: str = url if path.endswith(".json") else f"{url.rstrip('/')}{CATALOG_PATH}"
        self._card = f"{url.rstrip('/')}{CARD_PATH}" if or_card and not path.endswith(".json") else None
        self._reader = Reader(transport, guard=AddressGuard(named_by=url))
        self._cards = Cards(self._reader, fresh=fresh, documents=True)
        self._fresh = fresh
        self._crawl: _Crawl | None = None
        self._crawl_again = 0.0

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """Those of the catalog that fit. Raises CodinError when it was never read and cannot be read now."""
        crawl = await self._entries()
        found = [*crawl.inline, *await self._cards.of(crawl.addresses)]
        return select(found, name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def is_registry(self) -> bool:
        """Whether this is the catalog of one of codin's registries. Raises as `find`."""
        return (await self._entries()).registry

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        await self._reader.aclose()

    async def _entries(self) -> _Crawl:
        if self._crawl is not None and time.monotonic() < self._crawl_again:
            return self._crawl
        crawl = _Crawl(self._reader)
        try:
            if not await crawl.read(self.url):
                if self._card is None:
                    raise BadResponse(f"There is no AI Catalog at {self.url}.")
                crawl.addresses.append(self._card)
        except CodinError:
            if self._crawl is None:
                raise
            _logger.warning("the catalog %s cannot be read; what it said before counts", self.url)
            crawl = self._crawl
        self._crawl = crawl
        self._crawl_again = time.monotonic() + self._fresh
        return crawl


class _Crawl:
    """One walk through a catalog and what it nests, bounded in depth, documents and agents."""

    def __init__(self, reader: Reader) -> None:
        self.addresses: list[str] = []
        self.inline: list[Found] = []
        self.registry = False
        self._reader = reader
        self._seen: set[str] = set()

    async def read(self, url: str, depth: int = 1) -> bool:
        """Read a catalog. False when there is none; raises CodinError when nobody can tell."""
        self._seen.add(url)
        response = await self._reader.get(url, limit=_MAX_BYTES)
        if response.status in (404, 405, 410):
            return False
        if response.status != 200:
            raise BadResponse(f"{url} answers {response.status} instead of a catalog.")
        try:
            document: object = from_json(response.body)
        except ValueError as error:
            raise BadResponse(f"What {url} answers is no JSON: {error}") from None
        await self._take(document, url, depth)
        return True

    async def _take(self, document: object, base: str, depth: int) -> None:
        catalog = _mapping(document)
        entries = catalog.get("entries")
        if str(catalog.get("specVersion")).partition(".")[0] != "1" or not isinstance(entries, list):
            raise BadResponse(f"What {base} answers is no AI Catalog of version 1.")
        self.registry = self.registry or (depth == 1 and _REGISTRY in _mapping(catalog.get("extensions")))
        for entry in map(_mapping, cast("list[object]", entries)):
            if len(self.addresses) + len(self.inline) >= _MAX_AGENTS:
                _logger.warning("the catalog %s lists more than %d agents; the rest is left out", base, _MAX_AGENTS)
                return
            kind = entry.get("type") or entry.get("mediaType")  # the name of the field before version 1.0
            if kind == _CARD_TYPE:
                self._take_card(entry, base)
            elif kind == CATALOG_TYPE and depth < _MAX_DEPTH and len(self._seen) < _MAX_DOCUMENTS:
                await self._descend(entry, base, depth + 1)

    def _take_card(self, entry: Mapping[str, object], base: str) -> None:
        if (url := _address(entry, base)) is not None:
            self.addresses.append(url)
            return
        data = entry.get("data")
        try:
            card = a2a.AgentCard.from_dict(_mapping(data))
            self.inline.append(describe(card, card.supported_interfaces[0].url))
        except (CodinError, IndexError):
            _logger.info("an entry of the catalog %s holds neither an address nor a card", base)

    async def _descend(self, entry: Mapping[str, object], base: str, depth: int) -> None:
        url = _address(entry, base)
        try:
            if url is None:
                await self._take(entry.get("data"), base, depth)
            elif url not in self._seen:
                await self.read(url, depth)
        except CodinError as error:  # one bad part does not spoil the rest
            _logger.info("a catalog inside of %s cannot be read: %s", base, error)


def _address(entry: Mapping[str, object], base: str) -> str | None:
    url = entry.get("url")
    if not isinstance(url, str):
        return None
    try:
        whole = urljoin(base, url)
    except ValueError:
        return None
    return whole if whole.startswith(("http://", "https://")) else None


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
