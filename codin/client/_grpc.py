"""The gRPC binding, from the client's side. Spec 10. Loaded by those who call such an interface; asyncio only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from pydantic_core import PydanticSerializationError, to_json

import codin.a2a._proto as proto
from codin import a2a
from codin.client._binding import Arrival, Outgoing
from codin.client._grpc_errors import problem_of
from codin.errors import BadResponse, ConfigError, ConnectError, DeadlineExceeded
from codin.net import MAX_BODY, AddressGuard

__all__ = ["Grpc"]

T = TypeVar("T", bound=a2a.Model)
_Unary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes | None]  # None: a good end, and no answer
_Streaming: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
_Stream: TypeAlias = grpc.aio.UnaryStreamCall[bytes, bytes]

_NUMBER_DIGITS = 18
_MAX_METADATA = 64 * 1024
_NOT_OURS = frozenset({"accept", "connection", "content-length", "content-type", "host", "te", "user-agent"})
_PING = 20.0  # seconds between pings for a server that is known to bear them
_PING_STRANGERS = 310.0  # gRPC's servers hang up on who pings every five minutes or more often


class _Request(NamedTuple):
    method: str
    body: bytes


class Grpc:
    """Calls the methods of one gRPC interface.

    Args:
        address: its http(s) URL: https is gRPC over TLS.
        headers: on every request, as metadata.
        guard: says which addresses may be called; the very addresses that it has looked at are connected to.
    """

    def __init__(self, address: str, headers: Mapping[str, str], guard: AddressGuard | None) -> None:
        self.url: str = address
        self._headers = headers
        self._guard = guard
        self._numbered = a2a.RESUME_EXTENSION in headers.get("A2A-Extensions", "")
        self._channel: grpc.aio.Channel | None = None
        self._opening = asyncio.Lock()
        self._streams: set[_Stream] = set()
        self._closed = False

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        try:
            message = proto.from_json(proto.RPCS[method].request, to_json(params, inf_nan_mode="null"))
            body: bytes = message.SerializeToString()
        except (PydanticSerializationError, a2a.InvalidAgentResponse, ValueError) as error:
            raise ConfigError(f"The message cannot be written for gRPC: {error}") from error
        return Outgoing(_Request(method, body), {**self._headers, **headers} if headers else self._headers)

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        asked: _Request = request.content
        channel = await self._connected()
        rpc: _Unary = channel.unary_unary(f"/{proto.SERVICE}/{asked.method}")
        with self._translated(timeout):
            body = await rpc(asked.body, metadata=_metadata(request.headers), timeout=timeout)
        if body is None:
            raise BadResponse(f"{self.url} answered neither a result nor an error.")
        return self._read(proto.RPCS[asked.method].response, body, result)[0]

    @asynccontextmanager
    async def open(self, request: Outgoing, timeout: float | None) -> AsyncGenerator[_Arrivals]:
        asked: _Request = request.content
        channel = await self._connected()
        rpc: _Streaming = channel.unary_stream(f"/{proto.SERVICE}/{asked.method}")
        call = rpc(asked.body, metadata=_metadata(request.headers))
        self._streams.add(call)
        try:
            with self._translated(timeout):  # that it answers at all; what is an error is raised with the first event
                async with asyncio.timeout(timeout):
                    await call.initial_metadata()
            # Pings tell that a quiet peer is there, as comments do in an event stream.
            arrivals = _Arrivals(self, call, None if self._numbered else timeout)
            await arrivals.begin()
            yield arrivals
        finally:
            self._streams.discard(call)
            call.cancel()

    async def receive(self, call: _Stream, timeout: float | None) -> Arrival | None:
        """The next event of a stream; None at its end."""
        with self._translated(timeout):
            async with asyncio.timeout(timeout):
                body = await call.read()
        if not isinstance(body, bytes):
            return None
        answer, number = self._read("StreamResponse", body, a2a.StreamResponse)
        return answer.value, number

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        for stream in tuple(self._streams):  # older versions of gRPC would leave those who read in the dark
            stream.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _connected(self) -> grpc.aio.Channel:
        async with self._opening:
            if self._closed:
                raise self._closed_here()
            if self._channel is None:
                self._channel = await self._dial()
            return self._channel

    async def _dial(self) -> grpc.aio.Channel:
        place = urlsplit(self.url)
        secure = place.scheme == "https"
        host, port = place.hostname or "", place.port or (443 if secure else 80)
        options: list[tuple[str, str | int]] = [*_options(_PING if self._numbered else _PING_STRANGERS)]
        target = f"dns:///{_bracketed(host)}:{port}"
        addresses = await self._addresses(host, port)
        if addresses:
            target = _pinned(addresses, port)
            options.append(("grpc.default_authority", f"{_bracketed(host)}:{port}"))
            if secure:
                options.append(("grpc.ssl_target_name_override", host))
        if secure:
            return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
        return grpc.aio.insecure_channel(target, options=options)

    async def _addresses(self, host: str, port: int) -> list[str]:
        if self._guard is None:
            return []
        try:
            return [*(await self._guard.addresses(host, port) or ())]
        except OSError as error:
            raise ConnectError(f"{self.url} could not be reached: {error.strerror or error}") from error

    @contextmanager
    def _translated(self, timeout: float | None) -> Generator[None]:
        """Errors as the rest of codin has them."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise problem_of(error, self.url, timeout) from error
        except TimeoutError:
            raise DeadlineExceeded(f"{self.url} did not answer within {timeout:g} s.") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._closed_here() from None

    def _closed_here(self) -> ConfigError:
        return ConfigError(f"The connection to {self.url} was closed here.", hint="Leave the peer when all is done.")

    def _read(self, name: str, body: bytes, result: type[T]) -> tuple[T, int | None]:
        try:
            message = proto.parsed(name, body)
            number = _take_number(message) if name == "StreamResponse" and self._numbered else None
            fields = proto.to_json(message)
            return result.from_dict(fields), number
        except a2a.A2AError as error:
            raise BadResponse(f"{self.url} did not answer in A2A v1.0: {error.message}") from None


class _Arrivals:
    """The events of a stream, as they arrive."""

    def __init__(self, binding: Grpc, call: _Stream, timeout: float | None) -> None:
        self._binding = binding
        self._call = call
        self._timeout = timeout
        self._first: Arrival | None = None
        self._ended = False

    async def begin(self) -> None:
        """Wait for the first event: only then it is known that the peer answers with a stream."""
        self._first = await self._binding.receive(self._call, self._timeout)
        self._ended = self._first is None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Arrival:
        arrival, self._first = self._first, None
        if arrival is None and not self._ended:
            arrival = await self._binding.receive(self._call, self._timeout)
        if arrival is None:
            raise StopAsyncIteration
        return arrival


def _take_number(message: Any) -> int | None:
    """The number that our servers put into an event's metadata, which is then as the agent has made it."""
    kind = message.WhichOneof("payload")
    value = getattr(message, kind) if kind else None
    if value is None or a2a.RESUME_EXTENSION not in value.metadata.fields:
        return None
    text: str = value.metadata.fields.pop(a2a.RESUME_EXTENSION).string_value
    if not value.metadata.fields:
        value.ClearField("metadata")
    return int(text) if text.isdecimal() and len(text) <= _NUMBER_DIGITS else None


def _metadata(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Headers as metadata. Neither name nor value is quoted in the error: it may be the secret.

    Raises:
        ConfigError: gRPC takes no other characters than those of ASCII.
    """
    found = [(name.lower(), value) for name, value in headers.items() if name.lower() not in _NOT_OURS]
    if not all(value.isascii() and value.isprintable() for _, value in found):
        raise ConfigError("A header or the token holds a character that gRPC does not allow.")
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _pinned(addresses: list[str], port: int) -> str:
    """A target that needs no DNS any more; all of one family, as gRPC wants them."""
    six = ":" in addresses[0]
    alike = [_bracketed(address) for address in addresses if (":" in address) == six]
    return f"ipv{6 if six else 4}:{','.join(f'{address}:{port}' for address in alike)}"


def _options(ping: float) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", MAX_BODY),
        ("grpc.max_metadata_size", _MAX_METADATA),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA),
        ("grpc.keepalive_time_ms", int(ping * 1000)),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # When to try again is for the line to say, which has a backoff of its own.
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
