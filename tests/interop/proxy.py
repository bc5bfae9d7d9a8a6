"""A TCP proxy that loses connections at a byte the test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from codin import a2a

__all__ = ["CuttingProxy", "behind", "cutting"]


class CuttingProxy:
    """Passes bytes on; each connection is cut once `cuts` names how many bytes of its answers may pass.

    Args:
        cuts: bytes for the first connection, the second, …; later ones are not cut.
    """

    def __init__(self, target: str, cuts: list[int]) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname, parts.port
        self._cuts = cuts
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.connections = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number, self.connections = self.connections, self.connections + 1
        left = self._cuts[number] if number < len(self._cuts) else None
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        asking = asyncio.create_task(_pass_on(reader, far_writer))
        try:
            while left is None or left > 0:
                data = await far_reader.read(left or 65536)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
                left = None if left is None else left - len(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            writer.transport.abort() if left == 0 else writer.close()
            far_writer.transport.abort()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def cutting(target: str, cuts: list[int]) -> AsyncGenerator[CuttingProxy]:
    proxy = CuttingProxy(target, cuts)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    proxy.url = f"http://{host}:{port}/"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


def behind(proxy: str, card: a2a.AgentCard) -> a2a.AgentCard:
    """The card of the same agent as it is reached through a proxy."""
    moved = [interface.model_copy(update={"url": proxy}) for interface in card.supported_interfaces]
    return card.model_copy(update={"supported_interfaces": moved})
