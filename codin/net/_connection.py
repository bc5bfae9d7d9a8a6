"""One HTTP/1.1 connection: bytes out, and what llhttp makes of the bytes that come in.

Everything that can go wrong (a deadline, a lost connection, a body beyond its bound) becomes `failure`, and the one
reader that waits is woken; nothing here is cancelled from outside.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from codin.errors import BadResponse, DeadlineExceeded, ResponseTooLarge, TransportError
from codin.net._wording import lost, shown, within

__all__ = ["Connection"]

_MAX_HEAD = 64 * 1024
_HIGH_WATER = 256 * 1024


class Connection(asyncio.Protocol):
    """Carries one exchange after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.closed: bool = False
        self.idle_since: float = 0.0

    # -- an exchange, from its reader's side ---------------------------------------------------------------------------

    def begin(
        self, request: bytes, url: str, *, timeout: float | None, left: float | None = None, silence: bool
    ) -> None:
        """Send a request.

        Args:
            timeout: seconds for the whole exchange, or with `silence` between two arrivals of bytes.
            left: what is left of them, when connecting took some.
        """
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._url = url
        self._size = len(request)
        self._failure: TransportError | None = None
        self._head_size = 0
        self._head_done = False
        self._complete = False
        self._reusable = True
        self._paused = False
        self._chunks: list[bytes] = []
        self._held = 0
        self._timeout = timeout
        self.status: int = 0
        self.headers: dict[str, str] = {}
        self._transport.write(request)
        if timeout is not None:
            self._heard = self._loop.time()
            self._timer = self._loop.call_later(
                timeout if left is None else left, self._silent if silence else self._late
            )

    async def head(self) -> None:
        """Wait for status and headers."""
        while not self._head_done:
            if self._failure is not None:
                raise self._failure
            await self._arrival()

    async def chunk(self) -> bytes:
        """The next bytes of the body; none at its end."""
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return b""
            await self._arrival()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._held = [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()
        return data

    async def body(self, limit: int) -> bytes:
        """The whole body, of at most `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.chunk():
            size += len(piece)
            if size > limit:
                raise ResponseTooLarge(f"The answer of {shown(self._url)} is longer than {limit} bytes.")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> bool:
        """Leave the exchange. Returns whether the connection can carry another one; if not, it is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parser = None
        sent = self._transport is not None and not self._transport.get_write_buffer_size()
        if self._complete and self._reusable and sent and not self.closed and self._failure is None:
            self.idle_since = self._loop.time()
            return True
        self.close()
        return False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _arrival(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: TransportError) -> None:
        if self._failure is None and not self._complete:
            self._failure = failure
        self._wake()

    def _late(self) -> None:
        self._fail(DeadlineExceeded(f"{shown(self._url)} did not answer {within(self._timeout)}."))

    def _silent(self) -> None:
        assert self._timeout is not None
        # A reader that is slow to take what came does not make the peer silent.
        due = self._timeout - (0.0 if self._held else self._loop.time() - self._heard)
        if due > 0:
            self._timer = self._loop.call_later(due, self._silent)
        else:
            self._late()

    # -- what asyncio calls --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:  # nobody asked
            self.close()
            return
        self._heard = self._loop.time()
        if not self._head_done:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadResponse(f"{shown(self._url)} does not answer in HTTP: {error}"))
        if not self._head_done and self._head_size > _MAX_HEAD:
            self._fail(ResponseTooLarge(f"The headers of {shown(self._url)} are longer than {_MAX_HEAD} bytes."))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._parser is None:
            return
        if self._head_done and exc is None and not self.headers.keys() & {"content-length", "transfer-encoding"}:
            self._complete = True  # RFC 9112 6.3: a body of no declared length ends with the connection
        self._fail(lost(self._url, exc, self._size))

    # -- what llhttp calls ---------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._head_done = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._held += len(body)
        if self._held > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_begin(self) -> None:
        if self._complete:  # a second answer to one question: whose would it be?
            self._reusable = False
            raise BadResponse(f"{shown(self._url)} answered twice.")

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if not self._head_done:  # RFC 9110 15.2: an interim answer; the real one follows
            self.headers = {}
            return
        self._complete = True
        self._reusable = self._parser.should_keep_alive()
