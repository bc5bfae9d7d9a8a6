"""What an earlier codin has kept, in the form of this one."""

from __future__ import annotations

from pydantic_core import from_json

from codin.memory.backends._json import json_of
from codin.memory.backends._redis import scripts as scripts
from codin.memory.backends._redis.fields import entries_of
from codin.memory.backends._redis.server import Server

__all__ = ["upgrade"]

_RECORDS = 500


async def upgrade(server: Server, prefix: str) -> None:
    """Bring a scope from form 1 to form 2. What was done already is left, so that several may be at it.

    Args:
        prefix: what the keys of the scope begin with.
    """
    async with server.asked() as client:
        terms = sorted(await client.smembers(f"{prefix}terms"))
    for term in terms:
        place = b"0"
        while (place := await server.run(scripts.UPGRADE_WORD, [prefix], [term, place])) != b"0":
            pass
    after = b""
    while True:
        async with server.asked() as client:
            ids = await client.zrangebylex(f"{prefix}ids", b"(" + after if after else "-", "+", 0, _RECORDS)
            if not ids:
                return
            known = await client.hmget(f"{prefix}found", ids)
            about = await client.hmget(f"{prefix}records", ids)
        arguments: list[object] = []
        for id, found, one in zip(ids, known, about, strict=True):
            if found is not None and one is not None and "fields" not in (old := from_json(found)):
                arguments += (id, found, json_of({**old, "fields": entries_of(from_json(one)[0])}))
        if arguments:
            await server.run(scripts.UPGRADE, [prefix], arguments)
        after = ids[-1]
