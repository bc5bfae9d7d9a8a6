"""Bytes by keys in PostgreSQL. A shelf's row is locked first, by who puts something there and by who takes it away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codin.memory._protocol import Scope
from codin.memory.backends._postgres.session import Connection

__all__ = ["blob_keys", "blobs", "drop_blobs", "put_blobs", "shelves"]

_SHELF = """
codin_memory.shelf JOIN codin_memory.scope ON scope.id = shelf.scope
WHERE scope.tenant = $1 AND scope.agent = $2 AND scope.caller = $3"""
_HELD = """
INSERT INTO codin_memory.shelf (scope, name, at) VALUES ($1, $2, $3)
ON CONFLICT (scope, name) DO UPDATE SET at = greatest(shelf.at, excluded.at) RETURNING id"""
_PUT = """
INSERT INTO codin_memory.blob (shelf, key, value) SELECT $1, * FROM unnest($2::text[], $3::bytea[])
ON CONFLICT (shelf, key) DO """
_BLOBS = f"""
SELECT key, value FROM codin_memory.blob
WHERE shelf = (SELECT shelf.id FROM {_SHELF} AND name = $4) AND key = ANY($5::text[])"""
_KEYS = f"""
SELECT key FROM codin_memory.blob
WHERE shelf = (SELECT shelf.id FROM {_SHELF} AND name = $4) AND key ^@ $5 AND ($6::text IS NULL OR key < $6)
ORDER BY key DESC LIMIT $7"""
_DROPPED = f"SELECT shelf.id FROM {_SHELF} AND name = $4 FOR UPDATE OF shelf"
_DROP = """
WITH gone AS (DELETE FROM codin_memory.blob WHERE shelf = $1 AND ($2::text[] IS NULL OR key = ANY($2)) RETURNING true)
SELECT count(*) FROM gone"""
_EMPTY = """
DELETE FROM codin_memory.shelf WHERE id = $1 AND NOT EXISTS (SELECT FROM codin_memory.blob WHERE shelf = $1)"""
_SHELVES = f"SELECT name FROM {_SHELF} AND name > $4 ORDER BY name LIMIT $5"


async def put_blobs(
    connection: Connection, room: int, shelf: str, blobs: Mapping[str, bytes], at: int, replace: bool
) -> None:
    """Put bytes on a shelf."""
    held = await connection.fetchval(_HELD, room, shelf, at)
    clash = "UPDATE SET value = excluded.value" if replace else "NOTHING"
    await connection.execute(_PUT + clash, held, list(blobs), list(blobs.values()))


async def blobs(connection: Connection, scope: Scope, shelf: str, keys: Sequence[str]) -> dict[str, bytes]:
    """What is there of some keys."""
    rows = await connection.fetch(_BLOBS, *scope, shelf, list(keys))
    return {row["key"]: row["value"] for row in rows}


async def blob_keys(
    connection: Connection, scope: Scope, shelf: str, prefix: str, before: str | None, limit: int
) -> Sequence[str]:
    """Keys, the last first."""
    return [row["key"] for row in await connection.fetch(_KEYS, *scope, shelf, prefix, before, limit)]


async def drop_blobs(connection: Connection, scope: Scope, shelf: str, keys: Sequence[str] | None) -> int:
    """Remove some keys, or all."""
    held = await connection.fetchval(_DROPPED, *scope, shelf)
    if held is None:
        return 0
    gone: int = await connection.fetchval(_DROP, held, None if keys is None else list(keys))
    await connection.execute(_EMPTY, held)
    return gone


async def shelves(connection: Connection, scope: Scope, after: str, limit: int) -> Sequence[str]:
    """Shelves by name."""
    return [row["name"] for row in await connection.fetch(_SHELVES, *scope, after, limit)]
