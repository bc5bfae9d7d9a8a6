"""A transport into applications of this process: what a client sends never leaves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import anyio

from codin.errors import ConnectError, DeadlineExceeded, ResponseTooLarge, TransportError
from codin.net._protocol import MAX_BODY, Response
from codin.net._wording import shown

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

__all__ = ["MemoryTransport"]

_logger = logging.getLogger("codin.net")
_AHEAD = 16  # pieces of a body that an application may be ahead of who reads it, as a socket's buffer allows it
_PATIENCE = 1.0  # seconds in which an application may notice that everybody has gone


class MemoryTransport:
    """Drives ASGI applications in this process. asyncio only.

    Args:
        apps: the application by its host, as in `http://HOST/…`.
    """

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self.apps: dict[str, ASGIApp] = dict(apps)
        self._running: set[asyncio.Task[None]] = set()
        self._open: set[_Exchange] = set()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        try:
            async with asyncio.timeout(timeout):
                async with self.stream(method, url, headers=headers, content=content, timeout=None) as answer:
                    return Response(answer.status, answer.headers, await answer.read(limit))
        except TimeoutError:
            raise DeadlineExceeded(f"{shown(url)} did not answer within {timeout} s.") from None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> AsyncGenerator[_Exchange]:
        host = urlsplit(url).netloc
        app = self.apps.get(host)
        if app is None:
            raise ConnectError(f"Nobody is at {host!r} in this mesh; there are {', '.join(self.apps)}.")
        exchange = _Exchange(method, url, headers, content, timeout)
        # A context of its own: over a socket, nothing of the caller's is known on the other side.
        task = asyncio.get_running_loop().create_task(exchange.run(app), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._open.add(exchange)
        try:
            await exchange.begin()
            yield exchange
        finally:
            # As with a socket, the application is told and goes on; whoever reads does not wait for it.
            self._open.discard(exchange)
            exchange.hang_up()

    async def aclose(self) -> None:
        for exchange in self._open:
            exchange.hang_up()
        if self._running:
            await asyncio.wait(self._running, timeout=_PATIENCE)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class _Exchange:
    """One request and what an application answers; for the client a `StreamingResponse`."""

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, silence: float | None
    ) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._url = url
        self._silence = silence
        self._scope = _scope(method, url, headers)
        self._content: bytes | None = content
        self._begun = asyncio.Event()
        self._gone = asyncio.Event()
        self._complete = False
        self._into, self._out = anyio.create_memory_object_stream[bytes](_AHEAD)
        self.chunks: AsyncIterator[bytes] = self

    # -- the application's side ----------------------------------------------------------------------------------------

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            _logger.exception("an application in memory failed")
            if not self._begun.is_set():  # what servers do
                self.status, self._complete = 500, True
        finally:
            self._into.close()
            self._begun.set()

    async def _receive(self) -> Message:
        if self._content is not None:
            body, self._content = self._content, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            self.headers = {name.lower(): value for name, value in fields}
            self._begun.set()
            return
        try:
            if body := message.get("body", b""):
                await self._into.send(body)
        except anyio.BrokenResourceError:
            return  # nobody reads any more
        if not message.get("more_body", False):
            self._complete = True
            self._into.close()

    # -- the client's side ---------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Wait for the head of the answer."""
        try:
            async with asyncio.timeout(self._silence):
                await self._begun.wait()
        except TimeoutError:
            raise self._too_late() from None
        if not self.status:
            raise TransportError(f"{shown(self._url)} ended without an answer.")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await self._out.receive()
        except TimeoutError:
            raise self._too_late() from None
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            if self._complete:
                raise StopAsyncIteration from None
            raise TransportError(f"The connection to {shown(self._url)} was lost.") from None

    async def read(self, limit: int | None = None) -> bytes:
        """The rest of the body."""
        body = bytearray()
        limit = MAX_BODY if limit is None else limit
        async for chunk in self.chunks:
            body += chunk
            if len(body) > limit:
                raise ResponseTooLarge(f"The answer of {shown(self._url)} is longer than {limit} bytes.")
        return bytes(body)

    def hang_up(self) -> None:
        self._gone.set()
        self._out.close()

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"{shown(self._url)} did not answer within {self._silence} s.")


def _scope(method: str, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    fields = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "raw_path": parts.path.encode() or b"/",
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or 80),
    }
