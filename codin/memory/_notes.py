"""Values by keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic_core import from_json

from codin.errors import ConfigError, NotKept
from codin.memory._asked import text
from codin.memory._limits import MemoryLimits, within
from codin.memory._protocol import MemoryBackend, Note, Scope
from codin.memory._storable import storable
from codin.task._clock import now_ms

__all__ = ["Notes", "Of"]

Of = Literal["caller", "context", "agent"]
_LONGEST = 200


class Notes:
    """Values by keys, which may be gone after a time.

    `of` says whose a note is: the caller's, in every conversation; this conversation's; or the agent's, for all of
    its callers. ConfigError is raised for any other word, and where there is no conversation.
    """

    def __init__(self, backend: MemoryBackend, scope: Scope, context_id: str, limits: MemoryLimits) -> None:
        self._backend = backend
        self._scope = scope
        self._context_id = context_id
        self._limits = limits

    async def get(self, key: str, default: Any = None, *, of: Of = "caller") -> Any:
        """The value of a key."""
        note = await self._backend.note(*self._place(of), _checked(key), now_ms())
        return default if note is None else note.value

    async def set(self, key: str, value: Any, *, ttl: float | None = None, of: Of = "caller") -> None:
        """Set the value of a key.

        Args:
            value: what JSON can say.
            ttl: seconds until it is gone.

        Raises:
            NotKept: no JSON, too large, a key of more than 200 letters, or a time that is none.
        """
        if ttl is not None and not (isinstance(ttl, int | float) and 0 < ttl < 10**10):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotKept(f"a note cannot be kept for {ttl!r} seconds")
        now = now_ms()
        expires = None if ttl is None else now + int(ttl * 1000)
        note = Note(_checked(key), self._plain(key, value), now, expires)
        await self._backend.put_note(*self._place(of), note)

    async def delete(self, key: str, *, of: Of = "caller") -> bool:
        """Remove a note; whether there was one."""
        return await self._backend.drop_note(*self._place(of), _checked(key))

    async def list(self, prefix: str = "", *, after: str = "", limit: int = 100, of: Of = "caller") -> Sequence[Note]:
        """Notes whose keys begin with `prefix`, by key. The next page comes after the last key of this one."""
        prefix, after, limit = text("prefix", prefix), text("after", after), within(limit, self._limits)
        return await self._backend.notes(*self._place(of), now_ms(), prefix=prefix, after=after, limit=limit)

    def _place(self, of: Of) -> tuple[Scope, str]:
        if of not in get_args(Of):
            raise ConfigError(f"of={of!r} is not known", hint="caller, context or agent")
        if of == "agent":
            return Scope(self._scope.tenant, self._scope.agent), ""
        if of == "context" and not self._context_id:
            raise ConfigError("of='context' is of a conversation, and there is none", hint="give a context_id")
        return self._scope, self._context_id if of == "context" else ""

    def _plain(self, key: str, value: Any) -> Any:
        try:
            # Not as pydantic does it, which makes lists of sets and texts of bytes.
            encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            plain = from_json(encoded)
        except (TypeError, ValueError, RecursionError) as error:
            raise NotKept(f"the value of the note {key!r} is no JSON: {error}") from error
        if len(encoded) > self._limits.value:
            raise NotKept(f"the note {key!r} has {len(encoded)} bytes", hint=f"{self._limits.value} are kept")
        return plain


def _checked(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST or storable(key) != key:
        raise NotKept(f"{str(key)[:80]!r} is no key of a note", hint=f"1 to {_LONGEST} letters, and no NUL")
    return key
