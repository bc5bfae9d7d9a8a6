"""Recorded conversations: what a peer was asked and what it answered, kept in a file and given again."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio

from codin import a2a
from codin.errors import DeadlineExceeded, TransportError
from codin.net import Response, StreamingResponse, Transport, open_transport
from codin.testing._redaction import Redaction, object_of
from codin.testing._tape import Asked, Exchange, Tape

__all__ = ["Cassette"]

# The headers that say something about the conversation. No other is written.
_ASKED = frozenset({"accept", "a2a-version", "a2a-extensions", "content-type", "last-event-id"})
_ANSWERED = frozenset({"a2a-extensions", "content-type", "location", "retry-after", "www-authenticate"})


class Cassette:
    """A transport that records every exchange with a peer, or gives the recorded ones again.

        async with Cassette("hello.json") as cassette, connect(url, transport=cassette) as peer:
            print((await peer.send("hello")).text)

    The peer may be any A2A agent. The file is for people to read and to keep in a repository: requests, answers and
    events of streams, without the times between them. Credentials are not written: no header but a few harmless ones,
    nothing that was answered to AUTH_REQUIRED, and the words of `secrets` nowhere.

    A request is answered by the first recorded one with the same method and parameters that was not given yet; message
    ids and idempotency keys do not count, and neither does the host.

    Args:
        path: of the file.
        record: True makes it anew, False only plays it; None records when there is no file yet.
        transport: what is recorded, as `connect` takes it.
        secrets: words that are never written.

    Raises:
        ConfigError: there is nothing to play.
        CassetteMiss: by every call whose request was not recorded.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        record: bool | None = None,
        transport: Transport | str | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.path: Path = Path(path)
        self.records: bool = not self.path.exists() if record is None else record
        self._redaction = Redaction(secrets)
        self._tape = Tape(self.path, self._redaction)
        self._given = transport
        self._inner: Transport | None = None
        if not self.records:
            self._tape.load()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

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
        asked = self._asked(method, url, headers, content)
        if not self.records:
            exchange = self._play(asked)
            return Response(exchange.status, exchange.headers, _written(exchange.body))
        exchange = self._begin(asked)
        answer = await self._transport().request(
            method, url, headers=headers, content=content, timeout=timeout, limit=limit
        )
        exchange.body = _read(answer.body)
        self._end(exchange, answer)
        return answer

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> AsyncGenerator[StreamingResponse]:
        asked = self._asked(method, url, headers, content)
        if not self.records:
            yield _Played(self._play(asked), url, timeout)
            return
        exchange = self._begin(asked)
        opening = self._transport().stream(method, url, headers=headers, content=content, timeout=timeout)
        async with opening as answer:
            heard = _Heard(answer, exchange)
            try:
                yield heard
            finally:
                self._end(exchange, answer)

    async def aclose(self) -> None:
        """Write the file, and close the transport that was made for it."""
        if self.records:
            self._tape.save()
        inner, self._inner = self._inner, None
        if inner is not None and inner is not self._given:
            await inner.aclose()

    def _transport(self) -> Transport:
        if self._inner is None:
            given = self._given
            self._inner = open_transport(given) if given is None or isinstance(given, str) else given
        return self._inner

    def _asked(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Asked:
        kept = {name.lower(): value for name, value in headers.items() if name.lower() in _ASKED}
        address = url.partition("?")[0]  # a query may hold a key
        body = _read(content)
        call = object_of(body)
        if "method" in call:
            method, body = call["method"], call.get("params")
        return Asked(method, address, kept, self._redaction.learn(headers, body))

    def _begin(self, asked: Asked) -> Exchange:
        exchange = Exchange(asked)
        self._tape.exchanges.append(exchange)
        return exchange

    def _end(self, exchange: Exchange, answer: Response | StreamingResponse) -> None:
        exchange.status = answer.status
        exchange.headers = {name: answer.headers[name] for name in sorted(_ANSWERED) if name in answer.headers}
        self._redaction.watch([exchange.body, exchange.events])
        self._tape.save()

    def _play(self, asked: Asked) -> Exchange:
        exchange = self._tape.find(asked)
        self._redaction.watch([exchange.body, exchange.events])
        return exchange


class _Heard:
    """An answer that is written down while it is read."""

    def __init__(self, answer: StreamingResponse, exchange: Exchange) -> None:
        self._answer = answer
        self._exchange = exchange
        self._decoder = a2a.SSEDecoder()
        self.status = answer.status
        self.headers = answer.headers
        self.chunks: AsyncIterator[bytes] = self
        self._inner = answer.chunks
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            exchange.events, exchange.end = [], "open"

    async def read(self, limit: int | None = None) -> bytes:
        body = await self._answer.read(limit)
        self._exchange.events, self._exchange.end, self._exchange.body = None, "closed", _read(body)
        return body

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._inner)
        except StopAsyncIteration:
            self._exchange.end = "closed"
            raise
        except DeadlineExceeded:
            raise
        except TransportError:
            self._exchange.end = "cut"
            raise
        events = self._exchange.events
        if events is not None:
            for event in self._decoder.feed(chunk):
                events.append({**({"id": event.id} if event.id else {}), "data": _read(event.data)})
        return chunk


class _Played:
    """A recorded answer."""

    def __init__(self, exchange: Exchange, url: str, silence: float | None) -> None:
        self._exchange = exchange
        self._url = url
        self._silence = silence
        self.status = exchange.status
        self.headers = exchange.headers
        self.chunks: AsyncIterator[bytes] = self
        self._coming = [_event(each) for each in exchange.events or ()]

    async def read(self, limit: int | None = None) -> bytes:
        return _written(self._exchange.body)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self._coming:
            return self._coming.pop(0)
        if self._exchange.end == "closed":
            raise StopAsyncIteration
        if self._exchange.end == "cut":
            raise TransportError(f"The connection to {self._url} was lost, as it was recorded.")
        try:
            with anyio.fail_after(self._silence):
                await anyio.sleep_forever()
        except TimeoutError:
            raise DeadlineExceeded(f"{self._url} did not answer within {self._silence} s.") from None
        raise StopAsyncIteration


def _event(recorded: Mapping[str, Any]) -> bytes:
    number = recorded.get("id")
    return (f"id: {number}\n" if number else "").encode() + a2a.sse_event(_written(recorded["data"]))


def _read(content: bytes) -> Any:
    """A body as it is written into the file: JSON as itself, anything else as text."""
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def _written(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
