"""What the bindings over HTTP have in common: statuses that stand for errors, and events as they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import anyio
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from codin import a2a
from codin.client._binding import Arrival
from codin.client._fold import StreamValue
from codin.errors import BadResponse, ConfigError, DeadlineExceeded, TransportError
from codin.net import Response, StreamingResponse

__all__ = ["Events", "Streamed", "encoded", "http_error", "is_stream", "read_instead", "refusal"]

_MAX_ERROR = 1024 * 1024
_WORDS_QUOTED = 200
_NUMBER_DIGITS = 18


class Streamed(TypedDict, total=False):
    """A `StreamResponse` as a plain dict, which costs less to read; in its usual spelling it has one member."""

    task: a2a.Task | None
    message: a2a.Message | None
    statusUpdate: a2a.TaskStatusUpdateEvent | None
    artifactUpdate: a2a.TaskArtifactUpdateEvent | None


class Events:
    """The events of a stream of server-sent events.

    Args:
        read: the object in the data of one event; raises when it is an error.
    """

    def __init__(self, chunks: AsyncIterator[bytes], read: Callable[[bytes], StreamValue]) -> None:
        self._chunks = chunks
        self._read = read
        self._decoder = a2a.SSEDecoder()
        self._ready: Iterator[a2a.SSEEvent] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Arrival:
        while True:
            for sent in self._ready:
                if sent.data:
                    return self._read(sent.data), _number_of(sent)
            self._ready = iter(self._decoder.feed(await self._chunks.__anext__()))


def _number_of(sent: a2a.SSEEvent) -> int | None:
    text = sent.id
    return int(text) if text is not None and text.isdecimal() and len(text) <= _NUMBER_DIGITS else None


def is_stream(response: StreamingResponse) -> bool:
    """Whether the peer answers with a stream."""
    return response.status == 200 and response.headers.get("content-type", "").lower().startswith("text/event-stream")


async def read_instead(response: StreamingResponse, url: str, timeout: float | None) -> Response:
    """What the peer answers where a stream was expected.

    Args:
        timeout: seconds for all of it: who sends it byte by byte is never silent.
    """
    try:
        with anyio.fail_after(timeout):
            return Response(response.status, response.headers, await response.read(_MAX_ERROR))
    except TimeoutError:
        raise DeadlineExceeded(f"{url} did not answer within {timeout:g} s.") from None


def encoded(params: dict[str, Any]) -> bytes:
    """The JSON of parameters.

    Raises:
        ConfigError: they have none.
    """
    try:
        return to_json(params, inf_nan_mode="null")
    except PydanticSerializationError as error:
        raise ConfigError(f"The message cannot be written as JSON: {error}") from error


def refusal(response: Response, url: str, told: a2a.A2AError | None) -> TransportError | a2a.A2AError:
    """The error of an answer that is no success: what the peer tells in its body, or what the status stands for."""
    if told is None:
        return http_error(response, url)
    if told.retry_after is None:
        told.retry_after = _retry_after(response)
    return told


def http_error(response: Response, url: str) -> TransportError | a2a.A2AError:
    """The error for an HTTP status without an error of the protocol in the body."""
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


def _retry_after(response: Response) -> float | None:
    """The seconds that the peer asks to wait, if it does."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 9 else None


def _location(response: Response) -> str:
    return repr(response.headers.get("location", "")[:_WORDS_QUOTED])
