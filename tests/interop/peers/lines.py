"""How the programs here that speak for a client are called: each connection is one call, a line of JSON goes in,

    {"do": "stream", "url": "http://…/", "params": {…}}

and lines of JSON come out: `{"value": …}` for each thing that the client gives, then `{"end": true}`, or `{"error": …}`
when it raises.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

__all__ = ["serve"]

Values = Callable[[dict[str, Any]], AsyncIterator[Any]]


def serve(values: Values, name_of: Callable[[Exception], str] = lambda error: type(error).__name__) -> None:
    """Answer calls until the program is terminated; the port is the first line that it prints.

    Args:
        values: what the client gives for a call.
        name_of: what an error is called.
    """
    asyncio.run(_serve(values, name_of))


async def _serve(values: Values, name_of: Callable[[Exception], str]) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for answer in answers(json.loads(await reader.readline())):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # the test does not want to know the rest
        finally:
            writer.close()

    async def answers(call: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            async for value in values(call):
                yield {"value": value}
        except Exception as error:
            yield {"error": {"name": name_of(error), "message": str(error)}}
        else:
            yield {"end": True}

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    sys.stdout = sys.stderr  # nobody reads on, and a pipe that is full would hold up who writes
    await server.serve_forever()
