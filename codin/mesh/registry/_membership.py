"""Staying in a registry: registered once it can be reached, heard of in time, gone at the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from codin.errors import BadResponse, CodinError
from codin.mesh.registry._client import Receipt, Registry
from codin.trust import SigningKey

__all__ = ["Announced", "Membership"]

_logger = logging.getLogger("codin.mesh")
_LAST_WORDS = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LOOK = 1.0  # seconds between two looks at which key signs


@dataclass(frozen=True, slots=True)
class Announced:
    """An agent that shall be found.

    Args:
        url: where its card is.
        card: gives the card as it is published now.
        load: how busy it is now; 0 is idle, 1 as much as it can do.
    """

    url: str
    card: Callable[[], bytes]
    load: Callable[[], float] | None = None


class Membership:
    """Keeps agents in a registry. Whatever the registry does, nothing here fails: it is tried again.

        async with Membership(registry, [Announced(place, lambda: card)], key=lambda: key):
            ...

    Args:
        key: gives the key that signs now; None for none.
        ttl: seconds for which an agent counts as alive; None leaves that to the registry.
    """

    def __init__(
        self,
        registry: Registry,
        agents: Sequence[Announced],
        *,
        key: Callable[[], SigningKey | None] | None = None,
        ttl: float | None = None,
    ) -> None:
        self._registry = registry
        self._agents = agents
        self._key = key or (lambda: None)
        self._ttl = ttl
        self._receipts: dict[int, tuple[Receipt, SigningKey | None]] = {}
        self._joined = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Register every agent, and keep it registered, from now on."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def joined(self) -> None:
        """Wait until all agents are registered."""
        await self._joined.wait()

    async def stop(self) -> None:
        """Take the agents out again, if that can be done quickly. May be called again."""
        running, self._running = self._running, None
        if running is None:
            return
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                for receipt, key in self._receipts.values():
                    await self._leave(receipt, key)
        self._receipts.clear()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _run(self) -> None:
        await asyncio.gather(*(self._keep(index, agent) for index, agent in enumerate(self._agents)))

    async def _leave(self, receipt: Receipt, key: SigningKey | None) -> None:
        try:
            await self._registry.deregister(receipt.key, key=key)
        except CodinError as error:
            _logger.info("an agent could not be taken out of %s: %s", self._registry.url, error)

    async def _keep(self, index: int, agent: Announced) -> None:
        published = b""
        pause = 0.0
        key: SigningKey | None = None
        while True:
            try:
                card = agent.card()
                load = None if agent.load is None else agent.load()
                key = self._key()
                known = self._receipts.get(index)
                if known is None or card != published or known[1] is not key:
                    receipt = await self._registry.register(card, agent.url, key=key, ttl=self._ttl, load=load)
                    published = card
                    if known is not None and known[0].key != receipt.key:  # by another key it is another registration
                        await self._leave(*known)
                else:
                    receipt = await self._registry.heartbeat(known[0].key, key=key, load=load)
            except CodinError as error:
                pause = self._failed(index, agent, error, pause)
            else:
                self._receipts[index] = receipt, key
                if len(self._receipts) == len(self._agents):
                    self._joined.set()
                if pause:
                    _logger.warning("%s is in the registry at %s again", agent.url, self._registry.url)
                pause = 0.0
            # Not all at once, when many have begun together.
            wait = pause or self._receipts[index][0].ttl / 3
            await self._rest(wait * random.uniform(0.8, 1.0), key)

    async def _rest(self, seconds: float, key: SigningKey | None) -> None:
        """Wait, but not while another key has begun to sign: the old one may count no more."""
        with suppress(TimeoutError, CodinError):
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(_LOOK)
                    if self._key() is not key:
                        return

    def _failed(self, index: int, agent: Announced, error: CodinError, pause: float) -> float:
        if isinstance(error, BadResponse):
            self._receipts.pop(index, None)  # it does not know the registration, or never wanted it
        if not pause:
            _logger.warning("%s is not in the registry at %s: %s", agent.url, self._registry.url, error)
        return min(max(_FIRST_PAUSE, 2 * pause), _LONGEST_PAUSE)
