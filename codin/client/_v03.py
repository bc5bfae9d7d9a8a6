"""What the bindings of A2A 0.3 have in common; how each is written is its wire's business."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from codin import a2a
from codin.a2a import v03
from codin.client._binding import Arrival, Outgoing
from codin.client._fold import StreamValue
from codin.client._http import Events, is_stream, read_instead
from codin.client._rest import ResourceRequest
from codin.errors import BadResponse
from codin.net import Response, Transport

__all__ = ["OldBinding", "Wire"]

T = TypeVar("T", bound=a2a.Model)

_EXTENSIONS = "A2A-Extensions"
_UNARY = {"Accept": "application/json"}


class Wire(Protocol):
    """One way to write the operations of 0.3, for one URL.

    `answer` and `event` raise the `A2AError` that the peer answers with, and `BadResponse` for what is no answer.
    """

    dialect: v03.Dialect

    def request(self, method: str, params: dict[str, Any]) -> ResourceRequest:
        """Of an operation, by its name in 1.0; it may keep and change the parameters."""
        ...

    def answer(self, method: str, response: Response) -> Any:
        """The JSON of what the operation has answered."""
        ...

    def event(self, body: bytes) -> Any:
        """The JSON of what an event tells."""
        ...

    def read(self, method: str, answer: Any) -> Any:
        """An answer as 1.0 has it."""
        ...


class _Sent(NamedTuple):
    """A request.

    Args:
        method: the operation, by its name in 1.0.
        lacks: the id of the task that a subscription is to begin with.
    """

    method: str
    written: ResourceRequest
    lacks: str | None = None


class OldBinding:
    """Calls the operations of 1.0 as 0.3 has them.

    Args:
        headers: on every request, as 1.0 wants them.
    """

    def __init__(self, transport: Transport, url: str, headers: Mapping[str, str], wire: Wire) -> None:
        self._transport = transport
        self.url = url
        self._headers = {**headers, "A2A-Version": v03.OLD_VERSION, "Content-Type": "application/json"}
        self._wire = wire

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        told = {**self._headers, "Accept": "text/event-stream" if stream else "application/json", **(headers or {})}
        if _EXTENSIONS in told:
            told[f"X-{_EXTENSIONS}"] = told.pop(_EXTENSIONS)
        # A 1.0 stream begins with the task, unless it goes on behind an event.
        lacks = params["id"] if method == "SubscribeToTask" and "Last-Event-ID" not in told else None
        return Outgoing(_Sent(method, self._wire.request(method, params), lacks), told)

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        sent: _Sent = request.content
        verb, url, body = sent.written
        response = await self._transport.request(verb, url, headers=request.headers, content=body, timeout=timeout)
        answer = self._wire.answer(sent.method, response)
        return self._typed(result, partial(self._wire.read, sent.method), answer)

    @asynccontextmanager
    async def open(self, request: Outgoing, timeout: float | None) -> AsyncGenerator[AsyncIterator[Arrival]]:
        sent: _Sent = request.content
        verb, url, body = sent.written
        opening = self._transport.stream(verb, url, headers=request.headers, content=body, timeout=timeout)
        async with opening as response:
            if not is_stream(response):
                instead = await read_instead(response, self.url, timeout)
                with _ended(sent.lacks):
                    self._wire.answer(sent.method, instead)
                said = response.headers.get("content-type") or "no media type"
                raise BadResponse(f"{self.url} answered a call for a stream with {said!r}.")
            events = Events(response.chunks, self._read_event)
            yield self._from_the_task(events, request, sent.lacks, timeout) if sent.lacks is not None else events

    async def aclose(self) -> None:
        """Nothing here is its own."""

    async def _from_the_task(
        self, events: Events, request: Outgoing, task_id: str, timeout: float | None
    ) -> AsyncIterator[Arrival]:
        """The events of a subscription, behind the task as it is: many servers of 0.3 tell only what is new."""
        with _ended(task_id):
            # Asked for at once: the next thing that the server has to say may be far away.
            asked = self.prepare("GetTask", {"id": task_id}, {**request.headers, **_UNARY}, stream=False)
            yield await self.call(asked, a2a.Task, timeout=timeout), None
            async for value, number in events:
                yield value, number

    def _read_event(self, body: bytes) -> StreamValue:
        return self._typed(a2a.StreamResponse, self._wire.dialect.read_value, self._wire.event(body)).value

    def _typed(self, result: type[T], read: Callable[[Any], Any], value: Any) -> T:
        try:
            return result.from_dict(read(value))
        except a2a.A2AError as error:
            raise BadResponse(f"{self.url} did not answer in A2A 0.3: {error.message}") from None


@contextmanager
def _ended(subscribed: str | None) -> Generator[None]:
    """Some say by InvalidParams that the task of a subscription has ended."""
    try:
        yield
    except a2a.InvalidParams as error:
        if subscribed is None:
            raise
        raise a2a.UnsupportedOperation(error.message, hint=error.hint) from None
