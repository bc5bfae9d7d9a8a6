"""The cards behind a list of addresses, read at once, read again now and then, and kept while nobody answers."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import anyio

from codin.errors import CodinError
from codin.mesh._directory import Found, describe, matches
from codin.mesh._reader import Reader

__all__ = ["Cards", "select"]

_logger = logging.getLogger("codin.mesh")
_AT_ONCE = 16
_MAX_KEPT = 10_000


@dataclass(slots=True)
class _Kept:
    found: Found | None = None
    ask_again: float = 0.0


class Cards:
    """What is known of the agents at some addresses.

    Args:
        fresh: seconds for which a card is not read again.
        patience: seconds for which an address that did not answer is left alone.
        documents: the addresses are those of the cards, and not of the agents.
    """

    def __init__(self, reader: Reader, *, fresh: float = 60.0, patience: float = 5.0, documents: bool = False) -> None:
        self._reader = reader
        self._documents = documents
        self._fresh = fresh
        self._patience = patience
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def of(self, addresses: Iterable[str]) -> list[Found]:
        """The agents at these addresses. One that does not answer is what it was before, or left out."""
        addresses = list(dict.fromkeys(addresses))
        now = time.monotonic()
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as group:
            for address in addresses:
                kept = self._kept.setdefault(address, _Kept())
                if kept.ask_again <= now:
                    group.start_soon(self._look, address, kept, limiter)
        found = [self._kept[address].found for address in addresses]
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return [each for each in found if each is not None]

    async def _look(self, address: str, kept: _Kept, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            begun = time.monotonic()
            try:
                card, place = await self._reader.card(address, document=self._documents)
            except CodinError as error:
                _logger.info("the agent at %s is not known: %s", address, error.message)
                kept.ask_again = time.monotonic() + self._patience
                kept.found = replace(kept.found, health="suspect") if kept.found is not None else None
                return
            now = time.monotonic()
            kept.ask_again = now + self._fresh
            kept.found = replace(describe(card, place), health="healthy", seen=time.time(), latency=now - begun)


def select(
    found: Iterable[Found], *, name: str | None, skill: str | None, tag: str | None, text: str | None, limit: int
) -> Sequence[Found]:
    """Those that fit, the healthiest first."""
    fitting = [each for each in found if matches(each, name=name, skill=skill, tag=tag, text=text)]
    return sorted(fitting, key=lambda each: each.rank)[:limit]
