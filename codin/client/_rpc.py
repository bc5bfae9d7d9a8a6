"""JSON-RPC calls on one interface of a peer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from codin import a2a
from codin.client._backoff import Backoff, may_pass
from codin.client._fold import StreamValue
from codin.client._proof import Proof
from codin.errors import BadResponse, ConfigError, ConnectError, TransportError
from codin.net import Response, StreamingResponse, Transport
from codin.telemetry import TRAIL, onward, open_spans

__all__ = ["Outgoing", "Rpc", "http_error", "read_answer", "read_event"]

_MAX_ERROR = 1024 * 1024
_WORDS_QUOTED = 200

T = TypeVar("T", bound=a2a.Model)


class Outgoing(NamedTuple):
    """A request as it goes out; sending it again sends the same bytes."""

    body: bytes
    headers: Mapping[str, str]
    method: str


class _Answer(BaseModel, Generic[T]):
    """The response envelope; a peer's `jsonrpc` and `id` tell nothing that the connection does not."""

    result: T | None = None
    error: dict[str, Any] | None = None


class _Streamed(TypedDict, total=False):
    task: a2a.Task | None
    message: a2a.Message | None
    statusUpdate: a2a.TaskStatusUpdateEvent | None
    artifactUpdate: a2a.TaskArtifactUpdateEvent | None


class _StreamAnswer(TypedDict, total=False):
    result: _Streamed | None
    error: dict[str, Any] | None


class Rpc:
    """Calls the methods of one interface.

    Args:
        url: of the interface.
        headers: on every request.
        tenant: of the interface; goes into every request. Spec 8.3.2.
        resumable: the peer's card declares our resume extension: events are numbered, idempotency keys honoured.
        name: of the peer, for traces.
        proof: of who calls, for every request.
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        *,
        headers: Mapping[str, str],
        tenant: str | None = None,
        resumable: bool = False,
        backoff: Backoff | None = None,
        name: str = "",
        proof: Proof | None = None,
    ) -> None:
        self._spans = open_spans()
        self._name = name
        self._proof = proof
        self._transport = transport
        self.url = url
        self.tenant = tenant
        self.resumable = resumable
        self.backoff = backoff or Backoff()
        self._headers = {**headers, "Content-Type": "application/json", "Accept": "application/json"}
        self._stream_headers = {**self._headers, "Accept": "text/event-stream"}
        self._ids = count(1)

    def prepare(
        self, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None, *, stream: bool = False
    ) -> Outgoing:
        """Make the bytes and headers of a call.

        Args:
            params: the JSON object; what is None is left out, and the interface's tenant is added.

        Raises:
            ConfigError: the parameters are not JSON.
        """
        given = {name: value for name, value in params.items() if value is not None}
        if self.tenant:
            given["tenant"] = self.tenant
        body = a2a.call_bytes(b"%d" % next(self._ids), method, _encoded(given))
        base = self._stream_headers if stream else self._headers
        return Outgoing(body, {**base, **headers} if headers else base, method)

    async def call(self, call: Outgoing, result: type[T], *, timeout: float | None, again: bool = False) -> T:
        """Send, and read the result.

        Args:
            timeout: seconds for all of it.
            again: the call may safely be repeated when its answer was lost.

        Raises:
            ConnectError: no try has reached the peer.
        """
        if self._spans is None and TRAIL.get() is None:
            return await self._call(call, result, timeout, again=again)
        with self._onward(call) as told:
            return await self._call(told, result, timeout, again=again)

    @contextmanager
    def _onward(self, call: Outgoing) -> Generator[Outgoing]:
        """The call with the headers of what it is a consequence of, in a span of its own where spans are made."""
        if self._spans is None:
            yield call._replace(headers={**onward(), **call.headers})
            return
        place = urlsplit(self.url)
        with self._spans.call(call.method, self._name, place.hostname or "", place.port) as traced:
            yield call._replace(headers={**onward(), **traced, **call.headers})

    async def _call(self, call: Outgoing, result: type[T], timeout: float | None, *, again: bool) -> T:
        if not again:
            return self._read(await self._post(call, timeout), result)
        deadline = anyio.current_time() + (float("inf") if timeout is None else timeout)
        tried = 0
        lost: TransportError | None = None
        while True:
            left = None if timeout is None else deadline - anyio.current_time()
            try:
                return self._read(await self._post(call, left), result)
            except TransportError as error:
                pause = self.backoff.pause(tried)
                if not isinstance(error, ConnectError):
                    lost = error
                elif lost is None and not self.backoff.unreached:
                    raise
                if not may_pass(error) or tried >= self.backoff.tries or anyio.current_time() + pause >= deadline:
                    raise (lost or error) from error.__cause__
            tried += 1
            await anyio.sleep(pause)

    @asynccontextmanager
    async def open(self, call: Outgoing, timeout: float | None) -> AsyncGenerator[StreamingResponse]:
        """Send, and hand over the answer while it arrives; `check_stream` must look at it first."""
        with self._onward(call) as following:
            headers, body = following.headers, following.body
            if self._proof is not None:
                headers = {**headers, **await self._proof.headers()}
            opening = self._transport.stream("POST", self.url, headers=headers, content=body, timeout=timeout)
            async with opening as response:
                yield response

    async def check_stream(self, response: StreamingResponse) -> None:
        """Raise what the peer answered instead of a stream."""
        content_type = response.headers.get("content-type", "")
        if response.status == 200 and content_type.lower().startswith("text/event-stream"):
            return
        body = await response.read(_MAX_ERROR)
        self._read(Response(response.status, response.headers, body), a2a.StreamResponse)
        raise BadResponse(f"{self.url} answered a call for a stream with {content_type or 'no media type'!r}.")

    async def _post(self, call: Outgoing, timeout: float | None) -> Response:
        headers = call.headers
        if self._proof is not None:
            headers = {**headers, **await self._proof.headers()}
        return await self._transport.request("POST", self.url, headers=headers, content=call.body, timeout=timeout)

    def _read(self, response: Response, result: type[T]) -> T:
        if response.status == 200:
            return read_answer(response.body, result, self.url)
        try:
            read_answer(response.body, result, self.url)
        except a2a.A2AError as error:
            if error.retry_after is None:
                error.retry_after = _retry_after(response)
            raise
        except BadResponse:
            pass  # not JSON-RPC: the status is all there is
        raise http_error(response, self.url)


def _encoded(params: dict[str, Any]) -> bytes:
    try:
        return to_json(params, inf_nan_mode="null")
    except PydanticSerializationError as error:
        raise ConfigError(f"The message cannot be written as JSON: {error}") from error


def read_answer(body: bytes, result: type[T], url: str) -> T:
    """The result in a JSON-RPC response.

    Raises:
        A2AError: the response is an error.
        BadResponse: it is no response of this kind.
    """
    try:
        answer = _answer(result).__pydantic_validator__.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise BadResponse(f"{url} did not answer in A2A v1.0: {where}: {first['msg']}") from None
    if answer.error is not None:
        raise a2a.from_rpc_error(answer.error)
    if answer.result is None:
        raise BadResponse(f"{url} answered neither a result nor an error.")
    return answer.result


def read_event(body: bytes, url: str) -> StreamValue:
    """The object in one event of a stream. Raises as `read_answer` does.

    A plain dict around it costs less than a `StreamResponse`, and this runs for every event. What is not one object
    in its usual spelling goes the way of everything else, which also has the words for what is wrong.
    """
    try:
        result = _stream_answer().validate_json(body).get("result")
    except ValidationError:
        result = None
    if result is not None and len(result) == 1:
        (value,) = result.values()
        if value is not None:
            return cast(StreamValue, value)
    return read_answer(body, a2a.StreamResponse, url).value


def http_error(response: Response, url: str) -> TransportError | a2a.A2AError:
    """The error for an HTTP status without a JSON-RPC error in the body."""
    status = response.status
    words = f"{url} answered HTTP {status}"
    if said := response.body[:_WORDS_QUOTED].decode("utf-8", "replace").strip():
        words = f"{words}: {said!r}"
    if status == 401:
        return a2a.Unauthenticated(f"{words}.", hint="Pass token=… or headers=… to connect.")
    if status == 403:
        return a2a.PermissionDenied(f"{words}.")
    if status == 413:
        return a2a.PayloadTooLarge(f"{words}.")
    if status in (429, 503):
        return a2a.Overloaded(f"{words}.", retry_after=_retry_after(response))
    if status in (502, 504):
        return TransportError(f"{words}.", hint="A proxy in between does not reach the peer.")
    if 300 <= status < 400:
        return BadResponse(f"{words}.", hint=f"Redirects are not followed; it names {_location(response)}.")
    return BadResponse(f"{words}.")


@cache
def _answer(result: type[T]) -> type[_Answer[T]]:
    made = _Answer[result]
    made.model_rebuild()
    return made


@cache
def _stream_answer() -> TypeAdapter[_StreamAnswer]:
    return TypeAdapter(_StreamAnswer)


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 9 else None


def _location(response: Response) -> str:
    return repr(response.headers.get("location", "")[:_WORDS_QUOTED])
