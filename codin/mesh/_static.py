"""Agents by a list of addresses, and what a host publishes about itself."""

from __future__ import annotations

import os
from collections.abc import Sequence

import anyio

from codin import a2a
from codin.errors import ConfigError
from codin.mesh._cards import Cards, select
from codin.mesh._catalog import CATALOG_PATH, Catalog
from codin.mesh._directory import Directory, Found, describe
from codin.mesh._reader import Reader
from codin.mesh._union import Union
from codin.mesh.registry import Registry
from codin.net import Transport

__all__ = ["Static", "WellKnown"]


class Static:
    """The agents of a list.

    Args:
        agents: where each is, as `codin.connect` takes it, or its card.
        transport: how the cards are read.
        fresh: seconds for which a card is not read again.

    Raises:
        ConfigError: an address is no http(s) URL, or a card names no interface.
    """

    def __init__(
        self,
        agents: Sequence[str | a2a.AgentCard],
        *,
        transport: Transport | str | None = None,
        fresh: float = 60.0,
    ) -> None:
        self._reader = Reader(transport)
        self._cards = Cards(self._reader, fresh=fresh)
        self._addresses = [agent for agent in agents if isinstance(agent, str)]
        self._given = [describe(agent, _place_of(agent)) for agent in agents if not isinstance(agent, str)]
        for address in self._addresses:
            if not address.startswith(("http://", "https://")):
                raise ConfigError(f"{address!r} is no http(s) URL", hint="write it like https://agents.example.com")

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """Those of the list that fit."""
        found = [*self._given, *await self._cards.of(self._addresses)]
        return select(found, name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        await self._reader.aclose()


class WellKnown:
    """What hosts publish at their well-known addresses: an AI Catalog, or the one card of their one agent.

    A host whose catalog says that it is a registry is asked as such; with the token in `CODIN_REGISTRY_TOKEN`, if
    `CODIN_REGISTRY` names it.

    Args:
        origins: such as `https://agents.example.com`, with a path where there is more than one agent at it.
        transport: how they are asked.
    """

    def __init__(self, *origins: str, transport: Transport | str | None = None) -> None:
        self._union = Union(*(_Host(origin, transport) for origin in origins))

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """Those of all hosts that fit."""
        return await self._union.find(name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        await self._union.aclose()


class _Host:
    """A registry, a host with an AI Catalog, or an agent. What it is, is looked at when it is first asked."""

    def __init__(self, origin: str, transport: Transport | str | None) -> None:
        self._origin = origin.removesuffix(CATALOG_PATH)
        self._is_document = self._origin.endswith(".json")  # a catalog, wherever it lies
        self._transport = transport
        self._catalog = Catalog(origin, transport=transport, or_card=True)
        self._registry: Registry | None = None
        self._looking = anyio.Lock()

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        async with self._looking:
            if self._registry is None and not self._is_document and await self._catalog.is_registry():
                # The token in the environment is for the registry that the environment names.
                named = self._origin == os.environ.get("CODIN_REGISTRY")
                found = Registry.of_environment(self._transport) if named else None
                self._registry = found or Registry(self._origin, transport=self._transport)
        place: Directory = self._registry or self._catalog
        return await place.find(name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        await self._catalog.aclose()
        if self._registry is not None:
            await self._registry.aclose()


def _place_of(card: a2a.AgentCard) -> str:
    for interface in card.supported_interfaces:
        if interface.url.startswith(("http://", "https://")):
            return interface.url
    raise ConfigError(f"the card of {card.name!r} names no http(s) address")
