"""`Idempotency-Key`: the same key and the same params make one turn, also when both requests arrive at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from codin import a2a
from codin.task._protocol import Claim, Owner, TaskStore

__all__ = ["Once", "digest_of"]


def digest_of(params: Any) -> str:
    """The digest of the canonical form of a request's params (any JSON value)."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Once:
    """The keys that are being used right now; the store knows the ones before."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._pending: dict[tuple[Owner, str], asyncio.Future[Claim]] = {}

    async def claim(self, owner: Owner, key: str, digest: str, submit: Callable[[], Awaitable[Claim]]) -> Claim | None:
        """Run `submit` if this key is new and give None; otherwise give what the key was used for.

        Raises:
            IdempotencyConflict: the key was used with other params.
        """
        place = (owner, key)
        while (pending := self._pending.get(place)) is not None:
            await asyncio.wait({pending})
            if not pending.cancelled():
                return _same(pending.result(), digest)
        mine: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._pending[place] = mine
        try:
            used = await self._store.claim(owner, key)
            if used is None:
                mine.set_result(await submit())
                return None
            mine.set_result(used)
        finally:
            if not mine.done():
                mine.cancel()  # the submit failed: whoever waits tries for itself
            del self._pending[place]
        return _same(used, digest)


def _same(claim: Claim, digest: str) -> Claim:
    if claim.digest != digest:
        raise a2a.IdempotencyConflict(
            f"idempotency key {claim.key!r} was used with other params", hint="make a new key for a new request"
        )
    return claim
