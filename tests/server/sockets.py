"""Real sockets: an app on a port of this process, and clients at the level of bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from codin import a2a
from codin.server import App
from tests.server.exchange import call_body
from tests.server.rpc import HEADERS

__all__ = ["NoStream", "RawClient", "Served", "listening", "open_listener"]


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, and leaves the signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.left = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # uvicorn looks up every tenth of a second; a test does not have to wait for it
        await self.left.wait()


class Served:
    """An app that listens."""

    def __init__(self, url: str, server: uvicorn.Server) -> None:
        self.url = url
        self._server = server

    @property
    def connections(self) -> int:
        """How many connections are open, on this side."""
        return len(self._server.server_state.connections)


def open_listener() -> socket.socket:
    """A listening socket on a free port."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves TCP_NODELAY off
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def listening(app: ASGIApp, listener: socket.socket | None = None) -> AsyncGenerator[Served]:
    """Serve an app over HTTP."""
    listener = listener or open_listener()
    server = _Server(uvicorn.Config(app, log_level="critical", proxy_headers=False, timeout_graceful_shutdown=5))
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(10):
            await server.ready.wait()
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", server)
    finally:
        if isinstance(app, App):
            await app.drain()  # as `serve` does it at the signal
        server.should_exit = True
        server.left.set()
        await running
    assert not server.server_state.connections, "a connection is left over"


class NoStream(Exception):
    """The answer is none that comes in pieces; its head is the argument."""


class RawClient:
    """One HTTP/1.1 request by hand. Nothing is read that nobody asks for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._raw = bytearray()
        self._wanted = 0
        self._head = b""
        self._decoder = a2a.SSEDecoder()
        self.body = b""
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.data: list[bytes] = []
        self.ended = False
        self.received = 0

    @classmethod
    async def call(
        cls,
        url: str,
        method: str,
        params: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        receive_buffer: int | None = None,
    ) -> RawClient:
        """Connect and send one JSON-RPC call."""
        parts = urlsplit(url)
        body = call_body(method, params)
        fields = {
            "Host": parts.netloc,
            **HEADERS,
            "Content-Length": len(body),
            "Connection": "close",
            **(headers or {}),
        }
        lines = [f"POST {parts.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, (parts.hostname, parts.port))
            await loop.sock_sendall(connection, "\r\n".join(lines).encode() + body)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def read(self, size: int = 65536) -> bool:
        """Read at most `size` bytes; False at the end of the connection."""
        data = await asyncio.get_running_loop().sock_recv(self._connection, size)
        self.received += len(data)
        self._raw += data
        if len(self._raw) >= self._wanted:
            self._parse()
        return bool(data)

    def _parse(self) -> None:
        if not self._head:
            end = self._raw.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._raw[:end])
            del self._raw[: end + 4]
            if b"transfer-encoding: chunked" not in self._head.lower():
                raise NoStream(self._head)
        while not self.ended:
            start = self._raw.find(b"\r\n", 0, 32) + 2
            if start < 2:
                return
            end = start + int(self._raw[: start - 2], 16)
            self._wanted = end + 2
            if len(self._raw) < self._wanted:
                return
            self.ended = start == end
            self._take(bytes(self._raw[start:end]))
            del self._raw[: self._wanted]
            self._wanted = 0

    def _take(self, body: bytes) -> None:
        self.body += body
        for event in self._decoder.feed(body):
            self.events.append((int(event.id or 0), json.loads(event.data)["result"]))
            self.data.append(event.data)

    async def until(self, condition: Callable[[], bool], size: int = 65536) -> None:
        """Read until something holds, or fail."""
        async with asyncio.timeout(60):
            while not condition():
                assert await self.read(size), "the server has hung up"

    async def exactly(self, count: int) -> None:
        """Read that many bytes of the answer and no more."""
        while self.received < count:
            assert await self.read(count - self.received), "the server has hung up"

    async def seen(self, count: int) -> list[tuple[int, dict[str, Any]]]:
        await self.until(lambda: len(self.events) >= count)
        return self.events

    async def end(self) -> list[tuple[int, dict[str, Any]]]:
        """Read to the proper end of the answer."""
        await self.until(lambda: self.ended)
        self.close()
        return self.events

    @property
    def task_id(self) -> str:
        return self.events[0][1]["task"]["id"]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def reset(self) -> None:
        """Hang up without a goodbye, as a crashed client's system does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
