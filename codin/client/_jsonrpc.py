"""The JSON-RPC binding, from the client's side. Spec 9."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from itertools import count
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from codin import a2a
from codin.client._binding import Outgoing
from codin.client._fold import StreamValue
from codin.client._http import Events, Streamed, encoded, is_stream, read_instead, refusal
from codin.errors import BadResponse
from codin.net import Response, Transport

__all__ = ["JsonRpc", "error_in"]

T = TypeVar("T", bound=a2a.Model)


class _Answer(BaseModel, Generic[T]):
    """The response envelope; a peer's `jsonrpc` and `id` tell nothing that the connection does not."""

    model_config = ConfigDict(defer_build=True)

    result: T | None = None
    error: dict[str, Any] | None = None


class _StreamAnswer(TypedDict, total=False):
    result: Streamed | None
    error: dict[str, Any] | None


class JsonRpc:
    """Calls the methods at one URL.

    Args:
        headers: on every request.
    """

    def __init__(self, transport: Transport, url: str, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self.url = url
        self._headers = {**headers, "Content-Type": "application/json", "Accept": "application/json"}
        self._stream_headers = {**self._headers, "Accept": "text/event-stream"}
        self._ids = count(1)

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        body = a2a.call_bytes(b"%d" % next(self._ids), method, encoded(params))
        base = self._stream_headers if stream else self._headers
        return Outgoing(body, {**base, **headers} if headers else base)

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        response = await self._transport.request(
            "POST", self.url, headers=request.headers, content=request.content, timeout=timeout
        )
        return self._read(response, result)

    @asynccontextmanager
    async def open(self, request: Outgoing, timeout: float | None) -> AsyncGenerator[Events]:
        opening = self._transport.stream(
            "POST", self.url, headers=request.headers, content=request.content, timeout=timeout
        )
        async with opening as response:
            if not is_stream(response):
                self._read(await read_instead(response, self.url, timeout), a2a.StreamResponse)
                said = response.headers.get("content-type") or "no media type"
                raise BadResponse(f"{self.url} answered a call for a stream with {said!r}.")
            yield Events(response.chunks, self._read_event)

    async def aclose(self) -> None:
        """Nothing here is its own."""

    def _read(self, response: Response, result: type[T]) -> T:
        if response.status == 200:
            return _read_answer(response.body, result, self.url)
        raise refusal(response, self.url, error_in(partial(_read_answer, response.body, result, self.url)))

    def _read_event(self, body: bytes) -> StreamValue:
        """The object in one event of a stream. Raises as `_read_answer` does.

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
        return _read_answer(body, a2a.StreamResponse, self.url).value


def error_in(read: Callable[[], object]) -> a2a.A2AError | None:
    """The error that reading a body raises; None where it is no JSON-RPC, and the status is all there is."""
    try:
        read()
    except a2a.A2AError as error:
        return error
    except BadResponse:
        pass
    return None


def _read_answer(body: bytes, result: type[T], url: str) -> T:
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
    if answer.result is not None:
        return answer.result
    if not result.model_fields and "result" in answer.model_fields_set:
        return result()
    raise BadResponse(f"{url} answered neither a result nor an error.")


@cache
def _answer(result: type[T]) -> type[_Answer[T]]:
    made = _Answer[result]
    made.model_rebuild()
    return made


@cache
def _stream_answer() -> TypeAdapter[_StreamAnswer]:
    return TypeAdapter(_StreamAnswer)
