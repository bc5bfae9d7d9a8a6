"""JSON-RPC as peers of A2A 0.3 have it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from typing import Any, NamedTuple, TypeVar, cast

from pydantic_core import from_json

from codin import a2a
from codin.a2a import v03
from codin.client._binding import Arrival, Outgoing
from codin.client._fold import StreamValue
from codin.client._http import Events, encoded, http_error, is_stream, read_instead, retry_after
from codin.errors import BadResponse
from codin.net import Response, Transport

__all__ = ["OldJsonRpc"]

T = TypeVar("T", bound=a2a.Model)

_EXTENSIONS = "A2A-Extensions"
_UNARY = {"Accept": "application/json"}


class _Sent(NamedTuple):
    """A request.

    Args:
        method: the operation, by its name in 1.0.
        lacks: the id of the task that a subscription is to begin with.
    """

    method: str
    body: bytes
    lacks: str | None = None


class OldJsonRpc:
    """Calls the operations of 1.0 by the methods of 0.3 at one URL.

    Args:
        headers: on every request, as 1.0 wants them.
    """

    def __init__(self, transport: Transport, url: str, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self.url = url
        self._headers = {**headers, "A2A-Version": v03.OLD_VERSION, "Content-Type": "application/json"}
        self._ids = count(1)

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        old, given = v03.write_request(method, params)
        body = a2a.call_bytes(b"%d" % next(self._ids), old, encoded(given))
        told = {**self._headers, "Accept": "text/event-stream" if stream else "application/json", **(headers or {})}
        if _EXTENSIONS in told:
            told[f"X-{_EXTENSIONS}"] = told.pop(_EXTENSIONS)
        # A 1.0 stream begins with the task, unless it goes on behind an event.
        lacks = params["id"] if method == "SubscribeToTask" and "Last-Event-ID" not in told else None
        return Outgoing(_Sent(method, body, lacks), told)

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        sent: _Sent = request.content
        response = await self._transport.request(
            "POST", self.url, headers=request.headers, content=sent.body, timeout=timeout
        )
        return self._typed(result, partial(v03.read_result, sent.method), self._result(response))

    @asynccontextmanager
    async def open(self, request: Outgoing, timeout: float | None) -> AsyncGenerator[AsyncIterator[Arrival]]:
        sent: _Sent = request.content
        opening = self._transport.stream("POST", self.url, headers=request.headers, content=sent.body, timeout=timeout)
        async with opening as response:
            if not is_stream(response):
                instead = await read_instead(response, self.url, timeout)
                with _ended(sent.lacks):
                    self._result(instead)
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
        return self._typed(a2a.StreamResponse, v03.RPC.read_value, self._answered(body)).value

    def _result(self, response: Response) -> Any:
        if response.status == 200:
            return self._answered(response.body)
        try:
            self._answered(response.body)
        except a2a.A2AError as error:
            if error.retry_after is None:
                error.retry_after = retry_after(response)
            raise
        except BadResponse:
            pass  # not JSON-RPC: the status is all there is
        raise http_error(response, self.url)

    def _answered(self, body: bytes) -> Any:
        """The result in the JSON of a response; raises the error."""
        try:
            answer: object = from_json(body)
        except ValueError as error:
            raise BadResponse(f"{self.url} did not answer in JSON: {error}") from None
        fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
        if isinstance(fields.get("error"), dict):
            raise a2a.from_rpc_error(fields["error"])
        if not fields:
            raise BadResponse(f"{self.url} answered neither a result nor an error.")
        return fields.get("result")  # some leave a null out

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
