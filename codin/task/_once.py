"""`Idempotency-Key`: the same key and the same params make one turn, also when both requests arrive at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from codin import a2a
from codin.errors import StoreError
from codin.task._protocol import Claim, Owner, TaskStore

__all__ = ["Once", "digest_of"]

_logger = logging.getLogger("codin.task")

Settled = Callable[[], Awaitable[None]]
Submit = Callable[[], Awaitable[tuple[Claim, Settled]]]


def digest_of(params: Any) -> str:
    """The digest of the canonical form of a request's params (any JSON value)."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Once:
    """The keys that are being used right now; the store knows the ones before."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._pending: dict[tuple[Owner, str], asyncio.Future[Claim]] = {}
        self._orphans: set[asyncio.Task[None]] = set()

    async def claim(self, owner: Owner, key: str, digest: str, submit: Submit) -> Claim | None:
        """Run `submit` if this key is new and give None; otherwise give what the key was used for.

        Args:
            submit: appends the turn, and gives its claim and a way to wait until that is committed.

        Raises:
            IdempotencyConflict: the key was used with other params.
        """
        place = (owner, key)
        while (pending := self._pending.get(place)) is not None:
            await asyncio.wait({pending})
            if not pending.cancelled():
                return _same(pending.result(), digest)
        mine = self._pending[place] = asyncio.get_running_loop().create_future()
        outlived = False
        try:
            used = await self._store.claim(owner, key)
            if used is None:
                claim, settled = await submit()
                try:
                    await settled()
                except asyncio.CancelledError:  # who asked has gone, the commit has not: the key stays busy until then
                    outlived = True
                    self._adopt(place, claim, settled)
                    raise
                mine.set_result(claim)
                return None
            mine.set_result(used)
        finally:
            if not outlived:
                self._release(place)
        return _same(used, digest)

    def _adopt(self, place: tuple[Owner, str], claim: Claim, settled: Settled) -> None:
        orphan = asyncio.get_running_loop().create_task(self._outlive(place, claim, settled))
        self._orphans.add(orphan)
        orphan.add_done_callback(self._orphans.discard)

    async def _outlive(self, place: tuple[Owner, str], claim: Claim, settled: Settled) -> None:
        try:
            await settled()
            self._pending[place].set_result(claim)
        except StoreError as error:
            _logger.error("task %s could not be stored: %s", claim.task_id, error)
        finally:
            self._release(place)

    def _release(self, place: tuple[Owner, str]) -> None:
        pending = self._pending.pop(place)
        if not pending.done():
            pending.cancel()  # the submit failed: whoever waits tries for itself


def _same(claim: Claim, digest: str) -> Claim:
    if claim.digest != digest:
        raise a2a.IdempotencyConflict(
            f"idempotency key {claim.key!r} was used with other params", hint="make a new key for a new request"
        )
    return claim
