"""Bytes by keys, several of which are kept at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from codin.errors import NotKept
from codin.memory._asked import text, texts
from codin.memory._limits import MemoryLimits, within
from codin.memory._protocol import MemoryBackend, Scope
from codin.memory._storable import storable
from codin.task._clock import now_ms

__all__ = ["Blobs"]

_LONGEST = 1000


class Blobs:
    """Bytes by keys, on shelves: for states of programs that are more than one value.

    What is put in one call is kept all or none. What is on one shelf belongs together: retention takes all of it, when
    nothing was put there for long.
    """

    def __init__(self, backend: MemoryBackend, scope: Scope, limits: MemoryLimits) -> None:
        self._backend = backend
        self._scope = scope
        self._limits = limits

    async def put(self, shelf: str, blobs: Mapping[str, bytes], *, replace: bool = True) -> None:
        """Put bytes on a shelf, all or none.

        Args:
            replace: otherwise what is there under a key stays.

        Raises:
            NotKept: too large, no bytes, or a name of more than 1000 letters.
        """
        if not isinstance(cast(object, blobs), Mapping):
            raise NotKept(f"{repr(blobs)[:80]} is no mapping of keys to bytes")
        kept = {_checked(key): _bytes_of(key, value) for key, value in blobs.items()}
        if (size := sum(len(key) + len(value) for key, value in kept.items())) > self._limits.blobs:
            raise NotKept(f"{size} bytes are too many for one call", hint=f"{self._limits.blobs} are kept")
        if kept:
            await self._backend.put_blobs(self._scope, _checked(shelf), kept, at=now_ms(), replace=replace)

    async def get(self, shelf: str, *keys: str) -> Mapping[str, bytes]:
        """What is there of some keys."""
        return await self._backend.blobs(self._scope, _checked(shelf), texts("keys", keys)) if keys else {}

    async def keys(self, shelf: str, prefix: str = "", *, before: str | None = None, limit: int = 100) -> Sequence[str]:
        """Keys of a shelf that begin with `prefix`, the last first. The next page comes before the last of this one."""
        prefix, limit = text("prefix", prefix), within(limit, self._limits)
        before = None if before is None else text("before", before)
        return await self._backend.blob_keys(self._scope, _checked(shelf), prefix=prefix, before=before, limit=limit)

    async def delete(self, shelf: str, keys: Sequence[str] | None = None) -> int:
        """Remove some keys of a shelf, or all of it; how many there were."""
        return await self._backend.drop_blobs(
            self._scope, _checked(shelf), None if keys is None else texts("keys", keys)
        )

    async def shelves(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """Shelves that have something, by name. The next page comes after the last name of this one."""
        limit = within(limit, self._limits)
        return await self._backend.shelves(self._scope, after=text("after", after), limit=limit)


def _bytes_of(key: str, value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):  # of a number, bytes() makes so many zeros
        raise NotKept(f"the blob {key[:80]!r} is no bytes", hint="text.encode() makes bytes of a text")
    return bytes(cast(bytes, value))


def _checked(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or storable(name) != name:
        raise NotKept(
            f"{str(name)[:80]!r} is no name of a blob or a shelf", hint=f"1 to {_LONGEST} letters, and no NUL"
        )
    return name
