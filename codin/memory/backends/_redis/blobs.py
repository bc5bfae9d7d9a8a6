"""Bytes by keys in Redis: of each shelf a hash, and its keys in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codin.memory.backends._redis.server import Server

__all__ = ["blob_keys", "blobs", "drop_blobs", "put_blobs", "shelves"]

# KEYS[2]: the scopes. ARGV: the scope, the shelf, the time, whether to replace, and of each blob its key and bytes.
_PUT = """
local scope, shelf = KEYS[1], ARGV[2]
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', scope .. 'shelves', 'GT', ARGV[3], shelf)
for i = 5, #ARGV, 2 do
    redis.call(ARGV[4] == '1' and 'HSET' or 'HSETNX', scope .. 'blobs:' .. shelf, ARGV[i], ARGV[i + 1])
    redis.call('ZADD', scope .. 'blob_keys:' .. shelf, 0, ARGV[i])
end
"""

# ARGV: the shelf, and keys.
_DROP = """
local scope, shelf, gone = KEYS[1], ARGV[1], 0
for i = 2, #ARGV do
    gone = gone + redis.call('HDEL', scope .. 'blobs:' .. shelf, ARGV[i])
    redis.call('ZREM', scope .. 'blob_keys:' .. shelf, ARGV[i])
end
if redis.call('EXISTS', scope .. 'blobs:' .. shelf) == 0 then redis.call('ZREM', scope .. 'shelves', shelf) end
return gone
"""

# ARGV: the shelf.
_CLEAR = """
local scope, shelf = KEYS[1], ARGV[1]
local gone = redis.call('HLEN', scope .. 'blobs:' .. shelf)
redis.call('UNLINK', scope .. 'blobs:' .. shelf, scope .. 'blob_keys:' .. shelf)
redis.call('ZREM', scope .. 'shelves', shelf)
return gone
"""


async def put_blobs(
    server: Server, keys: Sequence[str], scope: str, shelf: str, blobs: Mapping[str, bytes], at: int, replace: bool
) -> None:
    """Put bytes on a shelf."""
    arguments: list[object] = [scope, shelf, at, int(replace)]
    for key, value in blobs.items():
        arguments += (key, value)
    await server.run(_PUT, keys, arguments)


async def blobs(server: Server, prefix: str, shelf: str, keys: Sequence[str]) -> dict[str, bytes]:
    """What is there of some keys."""
    if not keys:
        return {}
    async with server.asked() as client:
        values = await client.hmget(f"{prefix}blobs:{shelf}", keys)
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


async def blob_keys(
    server: Server, prefix: str, shelf: str, begin: str, before: str | None, limit: int
) -> Sequence[str]:
    """Keys, the last first."""
    most = b"(" + begin.encode() + b"\xff" if begin else b"+"  # no UTF-8 has this byte
    if before is not None:
        most = b"(" + before.encode() if most == b"+" else min(most, b"(" + before.encode())
    async with server.asked() as client:
        found = await client.zrevrangebylex(f"{prefix}blob_keys:{shelf}", most, f"[{begin}", 0, limit)
    return [key.decode() for key in found]


async def drop_blobs(server: Server, prefix: str, shelf: str, keys: Sequence[str] | None) -> int:
    """Remove some keys, or all."""
    if keys is None:
        return await server.run(_CLEAR, [prefix], [shelf])
    return await server.run(_DROP, [prefix], [shelf, *keys])


async def shelves(server: Server, prefix: str, after: str, limit: int) -> Sequence[str]:
    """Shelves by name. They are kept by age, and a caller has not so many."""
    async with server.asked() as client:
        names = await client.zrange(f"{prefix}shelves", 0, -1)
    return sorted(name for name in (name.decode() for name in names) if name > after)[:limit]
