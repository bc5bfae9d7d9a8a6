"""A server at the level of bytes, which misbehaves exactly as a test asks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.server.clock import turns


@dataclass
class Exchange:
    """One request, and the means to answer it well or badly."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    _reader: asyncio.StreamReader = field(repr=False)
    _writer: asyncio.StreamWriter = field(repr=False)

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        fields = {"Content-Length": len(body), "Content-Type": "application/json", **(headers or {})}
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
        await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    async def begin(self, content_type: str = "text/event-stream") -> None:
        """The head of an answer whose body comes in chunks."""
        await self.raw(
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def hang_up(self) -> None:
        """Close the connection behind everything that was sent."""
        self._writer.close()
        await self._writer.wait_closed()

    def cut(self) -> None:
        """Lose the connection, as a network does."""
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass


Handler = Callable[[Exchange], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """Answer every request with `handler`; gives the URL."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        number = len(connections)
        try:
            while (exchange := await _read(reader, writer, number)) is not None and not writer.is_closing():
                await handler(exchange)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http{'s' if tls else ''}://{host}:{port}"
    finally:
        await turns()  # else a connection that comes just now is taken, and closed by nobody
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Exchange | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head[0].split(" ")
    pairs = (line.split(":", 1) for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, path, headers, body, connection, reader, writer)
