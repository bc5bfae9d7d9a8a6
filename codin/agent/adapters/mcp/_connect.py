"""Ways to an MCP server: over stdio, over HTTP, and to one in this process."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import (
    create_mcp_http_client,  # pyright: ignore[reportPrivateImportUsage]  # the documentation imports it from there
    streamable_http_client,
)
from mcp.server.lowlevel import Server

__all__ = ["Connect", "http", "in_thread", "stdio"]

_logger = logging.getLogger("codin.mcp")

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Any, Any]]]
"""Opens a connection: what messages are read from, and what they are written to."""

# Seconds to connect, read, write, and wait for a connection. A question may wait for its answer without a byte.
_TIMEOUT = (10.0, None, 10.0, 10.0)


def stdio(command: Sequence[str], *, env: Mapping[str, str] | None, cwd: str | Path | None) -> Connect:
    """A program that speaks MCP over its standard input and output."""
    program, *arguments = command
    given = dict(env) if env is not None else None
    return partial(stdio_client, StdioServerParameters(command=program, args=arguments, env=given, cwd=cwd))


def http(url: str, headers: Mapping[str, str] | None) -> Connect:
    """A server that speaks MCP over streamable HTTP."""

    @asynccontextmanager
    async def connect() -> AsyncGenerator[tuple[Any, Any]]:
        async with create_mcp_http_client(headers=dict(headers or {})) as client:
            client.timeout = _TIMEOUT
            async with streamable_http_client(url, http_client=client) as (read, write, _):
                yield read, write

    return connect


def in_thread(server: Server[Any, Any]) -> Connect:
    """A server object. It runs on an event loop of its own, because it calls tools that block as they are."""

    @asynccontextmanager
    async def connect() -> AsyncGenerator[tuple[Any, Any]]:
        loop = asyncio.get_running_loop()
        send, read = anyio.create_memory_object_stream[Any](math.inf)
        line = _Line(loop, send)
        thread = threading.Thread(target=asyncio.run, args=[line.serve(server)], name="codin-mcp", daemon=True)
        thread.start()
        try:
            yield read, await asyncio.wrap_future(line.begun)
        finally:
            line.hang_up()
            send.close()
            read.close()

    return connect


class _Line:
    """What two event loops in two threads say to each other. On the side of the client it is what is written to."""

    def __init__(self, client: asyncio.AbstractEventLoop, answers: Any) -> None:
        self._client = client
        self._answers = answers
        self._server: asyncio.AbstractEventLoop | None = None
        self._requests: Any = None
        self.begun: Future[_Line] = Future()

    async def serve(self, server: Server[Any, Any]) -> None:
        """Run the server until the client hangs up."""
        self._server = asyncio.get_running_loop()
        self._requests, requests = anyio.create_memory_object_stream[Any](math.inf)
        answers, answered = anyio.create_memory_object_stream[Any](math.inf)
        self.begun.set_result(self)
        try:
            async with self._requests, requests, answers, answered, anyio.create_task_group() as group:
                group.start_soon(self._forward, answered)
                await server.run(requests, answers, server.create_initialization_options())
                group.cancel_scope.cancel()
        except Exception:
            _logger.exception("the MCP server %r stopped", server.name)
        finally:
            _call(self._client, self._answers.close)

    async def _forward(self, answered: Any) -> None:
        async for message in answered:
            _call(self._client, partial(_put, self._answers, message))

    async def send(self, message: Any) -> None:
        """Hand a message to the server."""
        _call(self._server, partial(_put, self._requests, message))

    def hang_up(self) -> None:
        """End the server, as soon as no tool blocks it."""
        if self._requests is not None:
            _call(self._server, self._requests.close)


def _put(stream: Any, message: Any) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        stream.send_nowait(message)


def _call(loop: asyncio.AbstractEventLoop | None, work: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # that side is gone
        if loop is not None:
            loop.call_soon_threadsafe(work)
