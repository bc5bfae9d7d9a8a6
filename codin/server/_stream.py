"""Task streams: server-sent events straight from a log to the socket.

A stream holds a position in a log and no queue. One timer serves all streams of an app: it sends comments to the silent
ones and cuts off readers that take nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.types import Receive, Send

from codin import a2a
from codin.errors import CodinError
from codin.server._limits import ServerLimits
from codin.task import Entry, Subscription

__all__ = ["LAST_WORDS", "EventStream", "Streams"]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b": keep-alive\n\n"
LAST_WORDS = 3.0  # seconds in which readers may take what is left for them when the server leaves


class OpenStream(Protocol):
    """A stream that is being read, in any binding."""

    def finish(self) -> None:
        """Send what is there and end."""
        ...

    def cut(self) -> None:
        """Let go of a reader that does not take what is there."""
        ...

    def check(self, now: float, limits: ServerLimits) -> None:
        """Called by the shared timer."""
        ...


class Streams:
    """The open streams of an app, and the timer they share."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._open: set[OpenStream] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._coming = 0

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def opening(self) -> Generator[None]:
        """Keep a place for a stream while what it shows is being made. Raises Overloaded when there is none."""
        if self._closing:
            raise a2a.Overloaded("the server is shutting down", retry_after=1.0)
        if len(self._open) + self._coming >= self._limits.max_streams:
            raise a2a.Overloaded(f"{self._limits.max_streams} streams are open", retry_after=1.0)
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def add(self, stream: OpenStream) -> None:
        """Take a stream in."""
        self._open.add(stream)
        if self._timer is None:
            self._arm()

    def remove(self, stream: OpenStream) -> None:
        """A stream has ended."""
        self._open.discard(stream)

    def close(self) -> None:
        """End every stream cleanly: what is committed is sent, then the response is completed."""
        self._closing = True
        for stream in tuple(self._open):
            stream.finish()
        if self._open:
            asyncio.get_running_loop().call_later(LAST_WORDS, self._cut)

    def _cut(self) -> None:
        for stream in tuple(self._open):
            stream.cut()

    def _arm(self) -> None:
        period = min(self._limits.keep_alive, self._limits.send_timeout) / 2
        self._timer = asyncio.get_running_loop().call_later(period, self._beat)

    def _beat(self) -> None:
        self._timer = None
        if not self._open:
            return
        now = asyncio.get_running_loop().time()
        for stream in tuple(self._open):
            stream.check(now, self._limits)
        self._arm()


class EventStream:
    """One SSE response.

    Args:
        headers: further response headers.
        prefix: what stands before the JSON of each event on its `data:` line, with that word.
        suffix: what stands behind it, with the empty line.
    """

    __slots__ = (
        "_beat", "_cut", "_done", "_first", "_headers", "_prefix", "_reader", "_sending", "_since", "_streams",
        "_suffix", "_task",
    )  # fmt: skip

    def __init__(
        self,
        streams: Streams,
        subscription: Subscription,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        prefix: bytes = b"data: ",
        suffix: bytes = b"\n\n",
    ) -> None:
        self._streams = streams
        self._prefix = prefix
        self._suffix = suffix
        self._first = subscription.first
        self._reader = subscription.reader
        self._headers = headers
        self._task: asyncio.Task[object] | None = None
        self._done = False
        self._beat = False
        self._sending = 0  # 1: a send waits for the reader; 2: and the timer has seen it
        self._cut = False
        self._since = 0.0

    async def respond(self, receive: Receive, send: Send) -> None:
        """Send everything there is, then whatever comes, until the stream's end or the reader's."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._since = loop.time()
        self._streams.add(self)
        watch = loop.create_task(self._watch(receive))
        try:
            with self._reader:
                await self._send_all(send)
        except (OSError, CodinError):
            return  # the reader is gone, or the store is: there is nobody or nothing to send to
        except asyncio.CancelledError:
            if not self._cut:
                raise
            await _hang_up(send, watch)
        finally:
            watch.cancel()
            self._streams.remove(self)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *self._headers]})
        if self._first is not None:
            number, task = self._first
            self._first = None
            await self._send(send, b'id: %d\n%s{"task":%s}%s' % (number, self._prefix, task, self._suffix))
        reader = self._reader
        while True:
            entries = reader.take()
            if entries:
                await self._send(send, self._encode(entries))
            if reader.ended or self._done:
                break
            if self._beat:
                self._beat = False
                await self._send(send, _COMMENT)
                continue
            await reader.wait()
        await self._send(send, b"", more=False)

    def _encode(self, entries: Sequence[Entry]) -> bytes:
        prefix, suffix = self._prefix, self._suffix
        if len(entries) == 1:
            return b"id: %d\n%s%s%s" % (entries[0].number, prefix, entries[0].body, suffix)
        return b"".join([b"id: %d\n%s%s%s" % (entry.number, prefix, entry.body, suffix) for entry in entries])

    async def _send(self, send: Send, body: bytes, more: bool = True) -> None:
        self._sending = 1
        await send({"type": "http.response.body", "body": body, "more_body": more})
        self._sending = 0
        self._since = asyncio.get_running_loop().time()

    async def _watch(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.finish()
                return

    def finish(self) -> None:
        """Send what is there and end."""
        self._done = True
        self._reader.wake()

    def cut(self) -> None:
        """Let go of a reader that does not take what is there."""
        if self._task is not None and not self._cut:
            self._cut = True
            self._task.cancel()

    def check(self, now: float, limits: ServerLimits) -> None:
        """Called by the shared timer."""
        silent = now - self._since
        if self._sending == 1:
            self._sending = 2
            self._since = now
        elif self._sending:
            if silent > limits.send_timeout:
                self.cut()
        elif silent >= limits.keep_alive / 2:
            self._beat = True
            self._reader.wake()


async def _hang_up(send: Send, watch: asyncio.Task[None]) -> None:
    """Drop the connection of a reader that takes nothing.

    ASGI has no word for it, and a connection that is closed properly waits for that reader for ever, with all that is
    buffered for it. uvicorn's `send` is a method of what has the transport; elsewhere the server closes properly.
    """
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    abort: Callable[[], None] | None = getattr(transport, "abort", None)
    if abort is not None:
        abort()
        await asyncio.wait({watch}, timeout=1.0)  # until the server knows that it is gone
