"""The HTTP+JSON binding, from the client's side. Spec 11."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from codin import a2a
from codin.client._binding import Outgoing
from codin.client._fold import StreamValue
from codin.client._http import Events, Streamed, encoded, is_stream, read_instead, refusal
from codin.errors import BadResponse
from codin.net import Response, StreamingResponse, Transport

__all__ = ["ResourceRequest", "Rest", "resource_request"]

T = TypeVar("T", bound=a2a.Model)

_A2A_JSON = "application/a2a+json"
_NOT_THERE = frozenset({404, 405})


class ResourceRequest(NamedTuple):
    """What is asked of a resource."""

    verb: str
    url: str
    body: bytes


def resource_request(base: str, route: a2a.Route, params: dict[str, Any]) -> ResourceRequest:
    """The request for an operation.

    Args:
        base: what the route's path is below.
        params: of the operation; those in the path are taken out of it.
    """
    verb, path = route
    for name in _path_fields(path):
        path = path.replace(f"{{{name}}}", _segment(str(params.pop(name))))
    if verb == "POST":
        return ResourceRequest(verb, base + path, encoded(params))
    query = f"?{urlencode([(name, _word(value)) for name, value in params.items()])}" if params else ""
    return ResourceRequest(verb, f"{base}{path}{query}", b"")


class Rest:
    """Calls the resources below one URL.

    Args:
        headers: on every request.
    """

    def __init__(self, transport: Transport, url: str, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self.url = url
        self._base = url.rstrip("/")
        self._reading = {**headers, "Accept": f"{_A2A_JSON}, application/json"}
        self._headers = {**self._reading, "Content-Type": _A2A_JSON}
        self._subscribes_by = a2a.ROUTES["SubscribeToTask"].verb

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        tenant = params.pop("tenant", None)
        sent = resource_request(
            f"{self._base}/{_segment(tenant)}" if tenant else self._base, a2a.ROUTES[method], params
        )
        base = self._headers if sent.verb == "POST" else self._reading
        if stream:
            base = {**base, "Accept": "text/event-stream"}
        return Outgoing(sent, {**base, **headers} if headers else base)

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        sent: ResourceRequest = request.content
        response = await self._transport.request(
            sent.verb, sent.url, headers=request.headers, content=sent.body, timeout=timeout
        )
        return self._read(response, result)

    @asynccontextmanager
    async def open(self, request: Outgoing, timeout: float | None) -> AsyncGenerator[Events]:
        async with AsyncExitStack() as stack:
            yield Events(await self._open(stack, request, timeout), self._read_event)

    async def _open(self, stack: AsyncExitStack, request: Outgoing, timeout: float | None) -> AsyncIterator[bytes]:
        sent: ResourceRequest = request.content
        subscribes = sent.url.endswith(":subscribe")
        verb = self._subscribes_by if subscribes else sent.verb
        response = await self._opened(stack, verb, request, timeout)
        problem = await self._problem(response, timeout)
        lacks_verb = response.status in _NOT_THERE and not isinstance(problem, a2a.TaskNotFound)
        # The text of the specification has POST, its annotations have GET: this peer may have only the other one.
        if subscribes and verb == "POST" and lacks_verb:
            response = await self._opened(stack, "GET", request, timeout)
            problem = await self._problem(response, timeout)
            self._subscribes_by = "GET" if problem is None else verb
        if problem is not None:
            raise problem
        return response.chunks

    async def _opened(
        self, stack: AsyncExitStack, verb: str, request: Outgoing, timeout: float | None
    ) -> StreamingResponse:
        sent: ResourceRequest = request.content
        body = sent.body if verb == "POST" else b""
        opening = self._transport.stream(verb, sent.url, headers=request.headers, content=body, timeout=timeout)
        return await stack.enter_async_context(opening)

    async def _problem(self, streaming: StreamingResponse, timeout: float | None) -> Exception | None:
        """What the peer answers instead of a stream."""
        if is_stream(streaming):
            return None
        response = await read_instead(streaming, self.url, timeout)
        if not 200 <= response.status < 300:
            return self._refusal(response)
        said = response.headers.get("content-type") or "no media type"
        return BadResponse(f"{self.url} answered a call for a stream with {said!r}.")

    async def aclose(self) -> None:
        """Nothing here is its own."""

    def _read(self, response: Response, result: type[T]) -> T:
        if not 200 <= response.status < 300:
            raise self._refusal(response)
        if not response.body and not result.model_fields:
            return result()
        try:
            return result.__pydantic_validator__.validate_json(response.body)
        except ValidationError as error:
            raise self._unreadable(error) from None

    def _read_event(self, body: bytes) -> StreamValue:
        """The object in one event; the quick way is that of JSON-RPC, without an envelope."""
        try:
            event = _stream_event().validate_json(body)
        except ValidationError:
            event = None
        if event is not None and len(event) == 1:
            (value,) = event.values()
            if value is not None:
                return cast(StreamValue, value)
        if problem := _problem_in(body):
            raise problem
        try:
            return a2a.StreamResponse.__pydantic_validator__.validate_json(body).value
        except ValidationError as error:
            raise self._unreadable(error) from None

    def _refusal(self, response: Response) -> Exception:
        return refusal(response, self.url, _problem_in(response.body))

    def _unreadable(self, error: ValidationError) -> BadResponse:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        return BadResponse(f"{self.url} did not answer in A2A v1.0: {where}: {first['msg']}")


def _segment(value: str) -> str:
    """A value as one segment of a path, which no client or proxy takes for a step upwards."""
    return value.replace(".", "%2E") if value in {".", ".."} else quote(value, safe="")


def _word(value: object) -> str:
    """A value as it stands in a query. Spec 11.5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_word, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _problem_in(body: bytes) -> a2a.A2AError | None:
    """The error that a body tells of; None when it is no `google.rpc.Status`."""
    try:
        answer: object = from_json(body)
    except ValueError:
        return None
    error = cast("dict[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    return a2a.from_status(cast("dict[str, Any]", error)) if isinstance(error, dict) else None


@cache
def _path_fields(path: str) -> tuple[str, ...]:
    return tuple(step.partition("}")[0] for step in path.split("{")[1:])


@cache
def _stream_event() -> TypeAdapter[Streamed]:
    return TypeAdapter(Streamed)
