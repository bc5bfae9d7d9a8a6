"""The gRPC binding. Spec 10. Protocol Buffers at the edge, JSON behind it: the operations are those of every binding.

Loaded by those who serve it only. It has a port of its own, because the server of the others speaks no HTTP/2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

import codin.a2a._proto as proto
from codin import a2a
from codin.errors import ConfigError
from codin.server._admission import NotAllowed, NotKnown
from codin.server._endpoint import Endpoint
from codin.server._grpc_stream import MessageStream
from codin.server._guarded import guarded
from codin.server._http import Headers
from codin.server._limits import ServerLimits
from codin.server._observer import Observer, Seen
from codin.server._operations import Operations, correlation, echo
from codin.server._stream import Streams
from codin.task import Subscription
from codin.telemetry import TRAIL, Trail
from codin.trust import ANONYMOUS, PEER_ADDRESS, Caller

__all__ = ["GrpcServer"]

_Context = grpc.aio.ServicerContext[bytes, bytes]
_Metadata = list[tuple[str, str | bytes]]

_MAX_METADATA = 64 * 1024  # what uvicorn takes; a signed chain of calls is longer than the 8 KiB of gRPC
_GRACE = 5.0  # seconds for calls that are under way when the server leaves; streams have ended by then


class GrpcServer:
    """Answers gRPC calls for the agents of an app.

    gRPC has one service and no path, so that of several agents the tenant says which one is meant: its first segment
    is the agent's id, what follows a slash is the tenant for the agent. The card of each says so. Spec 8.3.2.

    Args:
        endpoints: the agents.
        several: whether a request names its agent.
        card_headers: what the operations want to know of where an agent is reached.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        operations: Operations,
        streams: Streams,
        limits: ServerLimits,
        *,
        several: bool,
        card_headers: Callable[[Endpoint], Headers],
    ) -> None:
        self._endpoints = endpoints
        self._several = several
        self.operations: Operations = operations
        self.streams: Streams = streams
        self.limits: ServerLimits = limits
        self.card_headers: Callable[[Endpoint], Headers] = card_headers
        self._observer: Observer | None = None
        self._server: grpc.aio.Server | None = None

    async def start(
        self, host: str, port: int, observer: Observer | None, certificate: tuple[bytes, bytes] | None = None
    ) -> int:
        """Listen. Returns the port.

        Args:
            certificate: the chain and its key, PEM; None listens without TLS.

        Raises:
            ConfigError: the port is taken, or the address is none of this machine's.
        """
        self._observer = observer
        server = grpc.aio.server(options=_options(self.limits))
        server.add_generic_rpc_handlers((_Service(self),))
        reflection.enable_server_reflection((proto.SERVICE, reflection.SERVICE_NAME), server, pool=proto.POOL)
        host = host or "::"  # all addresses of this machine
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if certificate is None:
                bound = server.add_insecure_port(place)
            else:
                chain, key = certificate
                bound = server.add_secure_port(place, grpc.ssl_server_credentials([(key, chain)]))
        except RuntimeError:
            # Without what led to it: in a program of its own this is the last thing a person reads.
            raise ConfigError(
                f"cannot listen on {host}:{port} for gRPC",
                hint="choose another grpc_port, 0 takes a free one; or the certificate and its key do not fit",
            ) from None
        await server.start()
        self._server = server
        return bound

    async def stop(self) -> None:
        """Take no more calls, and let those that are under way come to their end."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(_GRACE)

    def find(self, request: Any) -> Endpoint:
        """The agent that a request is for; the part of its tenant that names the agent is taken off.

        Raises:
            MethodNotFound: there is none.
        """
        if not self._several:
            return next(iter(self._endpoints.values()))
        name, _, request.tenant = request.tenant.partition("/")
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise _nothing_here()
        return endpoint

    async def observed(
        self, endpoint: Endpoint, trail: Trail, respond: Callable[[Seen | None], Awaitable[None]]
    ) -> None:
        """Answer, and let it be told to whoever listens."""
        if self._observer is None:
            await respond(None)
        else:
            await self._observer.request(endpoint.agent, trail, respond, "grpc")


class _Service(grpc.GenericRpcHandler):
    """Finds the method of a call. Bodies come and go as bytes: what is wrong with one is answered in our own words."""

    def __init__(self, server: GrpcServer) -> None:
        self._server = server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        service, _, method = handler_call_details.method.strip("/").partition("/")
        rpc = proto.RPCS.get(method)
        if service != proto.SERVICE or rpc is None:
            return None
        respond = partial(self._respond, method)
        if rpc.streams:
            return grpc.unary_stream_rpc_method_handler(respond)  # pyright: ignore[reportArgumentType]  (aio)
        return grpc.unary_unary_rpc_method_handler(respond)  # pyright: ignore[reportArgumentType]  (aio)

    async def _respond(self, method: str, body: bytes, context: _Context) -> bytes | None:
        call = _Call(self._server, method, context)
        await call.run(body)
        if call.error is not None:
            await _abort(context, call.error)
        return call.answer


class _Call:
    """One call of a method.

    Attributes:
        answer: the bytes of the one message there is; None for a stream.
        error: why there is none.
    """

    def __init__(self, server: GrpcServer, method: str, context: _Context) -> None:
        self._server = server
        self._method = method
        self._rpc = proto.RPCS[method]
        self._context = context
        self._headers = _headers_of(context)
        self.answer: bytes | None = None
        self.error: a2a.A2AError | None = None

    async def run(self, body: bytes) -> None:
        """Answer the call, or note why not."""
        trail = Trail(self._headers)
        TRAIL.set(trail)  # every call has an asyncio task of its own
        try:
            proto.check_values(self._rpc.request, body, self._server.limits.max_values)
            request = proto.parsed(self._rpc.request, body)
            endpoint = self._server.find(request)
        except a2a.A2AError as error:
            self.error = error
            return
        self._headers.update(self._server.card_headers(endpoint))
        await self._server.observed(endpoint, trail, partial(self._respond, endpoint, request))

    async def _respond(self, endpoint: Endpoint, request: Any, seen: Seen | None) -> None:
        if seen is not None:
            seen.method = self._method
        try:
            caller = await _caller(endpoint, self._headers)
            params = proto.to_json(request, self._server.limits.max_depth)
            payload = await self._server.operations.run(endpoint, caller, self._headers, self._method, params)
            await self._context.send_initial_metadata(_metadata(echo(endpoint, self._headers)))
            await self._tell(payload)
        except Exception as error:
            self.error = guarded(error)
            if seen is not None:
                seen.error = self.error

    async def _tell(self, payload: bytes | Subscription) -> None:
        if isinstance(payload, Subscription):
            numbered = a2a.RESUME_EXTENSION.encode() in map(bytes.strip, _wanted(self._headers))
            await MessageStream(self._server.streams, payload, self._context, numbered=numbered).respond()
            return
        answer = proto.from_json(self._rpc.response, payload).SerializeToString()
        if self._rpc.streams:
            await self._context.write(answer)
        else:
            self.answer = answer


async def _caller(endpoint: Endpoint, headers: Headers) -> Caller:
    """Who calls; a stranger finds no hidden agent here."""
    admission = endpoint.admission
    if admission is None:
        return ANONYMOUS
    if not admission.hidden:
        return await admission.caller(headers)
    caller = await admission.visitor(headers)
    if caller is None:
        raise _nothing_here()
    return caller


def _nothing_here() -> a2a.MethodNotFound:
    return a2a.MethodNotFound("nothing here", hint="send the tenant that the interface in the agent's card names")


def _headers_of(context: _Context) -> Headers:
    """The metadata by name, as the headers of HTTP; of a repeated one, the last. And where the call comes from."""
    headers: Headers = {}
    for key, value in context.invocation_metadata() or ():
        headers[key.encode()] = value.encode() if isinstance(value, str) else value
    headers[PEER_ADDRESS] = _address(context.peer()).encode()
    return headers


def _address(peer: str) -> str:
    """The address in what gRPC calls a peer, such as `ipv4:127.0.0.1:50051`; "" for what has none."""
    family, _, place = unquote(peer).partition(":")
    return place.rpartition(":")[0].strip("[]") if family in {"ipv4", "ipv6"} else ""


def _wanted(headers: Headers) -> list[bytes]:
    return headers.get(b"a2a-extensions", b"").split(b",")


def _metadata(fields: list[tuple[bytes, bytes]]) -> _Metadata:
    return [(name.decode(), value.decode("latin-1")) for name, value in fields]


async def _abort(context: _Context, error: a2a.A2AError) -> None:
    """Spec 10.6: the error's kind in the status, the rest as `google.rpc.Status` in the trailers."""
    code = grpc.StatusCode[error.grpc_status]
    trailers = _metadata(correlation())
    trailers.append((proto.STATUS_KEY, proto.status_of(error, code.value[0])))
    if isinstance(error, NotKnown | NotAllowed):
        trailers.append(("www-authenticate", error.challenge))
    await context.abort(code, proto.words_of(error), tuple(trailers))


def _options(limits: ServerLimits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.max_body),
        ("grpc.max_metadata_size", _MAX_METADATA),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA),
        ("grpc.so_reuseport", 0),  # else a port that is taken would be shared
        # What is a comment in an event stream is a ping here; a connection whose other end is gone answers none.
        ("grpc.keepalive_time_ms", int(limits.keep_alive * 1000)),
        ("grpc.keepalive_timeout_ms", int(limits.send_timeout * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ]
