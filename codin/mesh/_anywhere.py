"""A URL as a source of agents, whatever is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

import anyio
from pydantic_core import from_json

from codin.mesh._directory import Directory, Found
from codin.mesh._reader import CARD_PATH, Reader
from codin.mesh._static import Static, WellKnown
from codin.mesh.registry import Registry
from codin.net import AddressGuard, Transport

__all__ = ["Anywhere"]

_MAX_ANSWER = 4 * 1024 * 1024


class Anywhere:
    """A registry, a host with an AI Catalog, or an agent. What it is, is looked at when it is first asked."""

    def __init__(self, url: str, *, transport: Transport | str | None = None) -> None:
        self._url = url
        self._transport = transport
        self._directory: Directory | None = None
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
        """Those that fit. Raises TransportError when nobody is there."""
        async with self._looking:
            if self._directory is None:
                self._directory = await self._look()
        return await self._directory.find(name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        if self._directory is not None:
            await self._directory.aclose()

    async def _look(self) -> Directory:
        if self._url.endswith(CARD_PATH):
            return Static([self._url], transport=self._transport)
        if not self._url.endswith(".json") and await self._is_registry():
            # The token in the environment is for the registry that the environment names.
            named = self._url == os.environ.get("CODIN_REGISTRY")
            found = Registry.of_environment(self._transport) if named else None
            return found or Registry(self._url, transport=self._transport)
        return WellKnown(self._url, transport=self._transport)

    async def _is_registry(self) -> bool:
        reader = Reader(self._transport, guard=AddressGuard(named_by=self._url))
        try:
            answer = await reader.get(f"{self._url.rstrip('/')}/v1/agents?limit=1", limit=_MAX_ANSWER)
        finally:
            await reader.aclose()
        if answer.status in (401, 403):
            return True
        try:
            document: object = from_json(answer.body) if answer.status == 200 else None
        except ValueError:
            return False
        return isinstance(document, dict) and isinstance(cast("dict[str, object]", document).get("agents"), list)
