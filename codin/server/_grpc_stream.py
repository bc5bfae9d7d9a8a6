"""A task stream as gRPC messages: a position in a log, and no queue."""

from __future__ import annotations

import asyncio

import grpc.aio

import codin.a2a._proto as proto
from codin import a2a
from codin.errors import CodinError
from codin.server._limits import ServerLimits
from codin.server._stream import Streams
from codin.task import Subscription

__all__ = ["MessageStream"]


class MessageStream:
    """One stream of responses.

    Args:
        numbered: the client knows our resume extension: every object carries its event's number in its metadata, under
            the extension's URI, because messages have no ids of their own here.
    """

    def __init__(
        self,
        streams: Streams,
        subscription: Subscription,
        context: grpc.aio.ServicerContext[bytes, bytes],
        *,
        numbered: bool,
    ) -> None:
        self._streams = streams
        self._first = subscription.first
        self._reader = subscription.reader
        self._context = context
        self._numbered = numbered
        self._task: asyncio.Task[object] | None = None
        self._sending = 0  # 1: a send waits for the reader; 2: and the timer has seen it
        self._since = 0.0
        self._done = False
        self._cut = False

    async def respond(self) -> None:
        """Send everything there is, then whatever comes, until the stream's end or the reader's.

        Raises:
            Overloaded: the reader takes nothing, or the store is gone; it may come again.
        """
        self._task = asyncio.current_task()
        self._streams.add(self)
        try:
            with self._reader:
                await self._send_all()
        except CodinError as error:
            raise a2a.Overloaded("the stream was lost; subscribe to the task again", retry_after=1.0) from error
        except asyncio.CancelledError:
            if not self._cut or self._task is None:
                raise
            self._task.uncancel()
            raise a2a.Overloaded("the stream was not read; subscribe to the task again", retry_after=1.0) from None
        finally:
            self._streams.remove(self)

    async def _send_all(self) -> None:
        if self._first is not None:
            number, task = self._first
            self._first = None
            await self._send(number, b'{"task":%s}' % task)
        reader = self._reader
        while True:
            for entry in reader.take():
                await self._send(entry.number, entry.body)
            if reader.ended or self._done:
                return
            await reader.wait()

    async def _send(self, number: int, body: bytes) -> None:
        response = proto.from_json("StreamResponse", body)
        if self._numbered:
            value = getattr(response, response.WhichOneof("payload"))
            value.metadata[a2a.RESUME_EXTENSION] = str(number)
        self._sending = 1
        await self._context.write(response.SerializeToString())
        self._sending = 0

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
        if self._sending == 1:  # perhaps it was us who were held up
            self._sending = 2
            self._since = now
        elif self._sending and now - self._since > limits.send_timeout:
            self.cut()
