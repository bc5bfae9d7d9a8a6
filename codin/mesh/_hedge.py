"""Asking a second replica when the first takes long, and calling off whoever loses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from codin.client import Peer, Reply, delegate
from codin.errors import ConfigError
from codin.mesh._clock import Clock
from codin.mesh._connections import Replica
from codin.mesh._route import Route
from codin.mesh._router import Router

__all__ = ["IDEMPOTENT", "Hedge"]

IDEMPOTENT = "idempotent"
"""The tag by which an agent says that asking it twice does no harm."""


class Hedge:
    """Races replicas. asyncio only: the loser is called off behind the back of whoever has the answer already."""

    def __init__(self, router: Router, clock: Clock) -> None:
        self._router = router
        self._clock = clock
        self._losers: set[asyncio.Task[Reply]] = set()

    async def send(
        self,
        replicas: Sequence[Replica],
        content: Any,
        options: Mapping[str, Any],
        *,
        after: float,
        route: Route | None,
        timeout: float | None,
    ) -> Reply:
        """Send to one, and after some seconds without an answer to another one too. The first good answer counts.

        Raises:
            ConfigError: an agent does not say that it may be asked twice.
        """
        for replica in replicas:
            if IDEMPOTENT not in replica.found.tags:
                raise ConfigError(
                    f"{replica.found.name!r} does not say that it may be asked twice.",
                    hint=f"Tag its skills {IDEMPOTENT!r} if it may; else leave hedge= out.",
                )
        used: list[Replica] = []
        first = self._begin(replicas, content, options, used, route, timeout)
        waiting = asyncio.ensure_future(self._clock.sleep(after))
        racing = {first}
        try:
            await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done() and len(used) < len(replicas):
                racing.add(self._begin(replicas, content, options, [*used], route, timeout))
            return await _first_good(racing)
        finally:
            waiting.cancel()
            for task in racing:
                task.cancel()  # the one that is done does not mind

    def _begin(
        self,
        replicas: Sequence[Replica],
        content: Any,
        options: Mapping[str, Any],
        used: list[Replica],
        route: Route | None,
        timeout: float | None,
    ) -> asyncio.Task[Reply]:
        async def act(peer: Peer, left: float) -> Reply:
            return await delegate(peer, content, timeout=left, **options)

        async def run() -> Reply:
            reached = await self._router.reach(act, replicas, route=route, timeout=timeout, used=used)
            reached.passage.leave()
            return reached.result

        task = asyncio.get_running_loop().create_task(run())
        self._losers.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._losers.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may ask for it any more

    async def aclose(self) -> None:
        """Wait until the losers have been called off."""
        if self._losers:
            await asyncio.wait(self._losers)


async def _first_good(racing: set[asyncio.Task[Reply]]) -> Reply:
    pending = racing
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is None:
                return task.result()
        if not pending:
            return done.pop().result()  # which raises
