"""gRPC as messages. Spec 10. Needs the extra `grpc`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio
import grpc
import grpc.aio

import codin.a2a._proto as proto
from codin import a2a
from codin.cli.check._answer import Answer, Refusal, shortened
from codin.cli.check._json import Json
from codin.cli.check._wire import Caller, Enough, Wire
from codin.errors import CodinError

__all__ = ["GrpcWire"]

_Unary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
_Streaming: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]


class GrpcWire(Wire):
    """Calls one service.

    Args:
        address: its http(s) URL; https is TLS.
    """

    binding = "GRPC"

    def __init__(self, address: str, tenant: str, caller: Caller, timeout: float) -> None:
        super().__init__(address, tenant, caller, timeout)
        parts = urlsplit(address)
        target = f"dns:///{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials())
            if parts.scheme == "https"
            else grpc.aio.insecure_channel(target)
        )

    async def aclose(self) -> None:
        await self._channel.close()

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.grpc_status

    async def _ask(
        self,
        method: str,
        params: Json,
        tenant: str,
        caller: Caller,
        fields: Mapping[str, str],
        enough: Enough,
        begun: anyio.Event | None,
    ) -> Answer:
        if tenant:
            params["tenant"] = tenant
        rpc = proto.RPCS[method]
        named = ", ".join(f"{name.lower()}: {value}" for name, value in fields.items())
        answer = Answer(shortened(f"{method} [{named}] {json.dumps(params)}"))
        body: bytes = proto.from_json(rpc.request, json.dumps(params).encode()).SerializeToString()
        metadata = [(name.lower(), value) for name, value in {**fields, **caller.secret}.items()]
        try:
            if rpc.streams:
                await self._stream(answer, method, body, metadata, enough, begun)
            else:
                call: _Unary = self._channel.unary_unary(f"/{proto.SERVICE}/{method}")
                reply = await call(body, metadata=metadata, timeout=self.timeout)
                answer.result = _read(rpc.response, reply)
        except grpc.aio.AioRpcError as error:
            answer.refusal = _refusal(error)
        except (CodinError, TimeoutError) as error:
            answer.fault = str(error) or f"silent for {self.timeout:g} s"
        return answer

    async def _stream(
        self,
        answer: Answer,
        method: str,
        body: bytes,
        metadata: list[tuple[str, str]],
        enough: Enough,
        begun: anyio.Event | None,
    ) -> None:
        rpc: _Streaming = self._channel.unary_stream(f"/{proto.SERVICE}/{method}")
        call = rpc(body, metadata=metadata)
        try:
            while True:
                with anyio.fail_after(self.timeout):
                    reply = await call.read()
                if not isinstance(reply, bytes):
                    answer.streamed = answer.ended = True
                    return
                answer.streamed = True
                event = _read("StreamResponse", reply)
                answer.events.append(event)
                if begun is not None:
                    begun.set()
                if enough(event):
                    return
        finally:
            call.cancel()


def _read(name: str, body: bytes) -> Json:
    return proto.to_json(proto.parsed(name, body))


def _refusal(error: grpc.aio.AioRpcError) -> Refusal:
    trailers: Mapping[str, Any] = dict(error.trailing_metadata() or ())
    return Refusal(error.code().name, error.details() or "", _details(trailers.get(proto.STATUS_KEY)))


def _details(body: Any) -> list[Json] | None:
    """The details in the trailers, as JSON has them; None where there are none that can be read."""
    if not isinstance(body, bytes):
        return None
    try:
        status = proto.parsed("Status", body)
    except a2a.ParseError:
        return None
    found: list[Json] = []
    for packed in status.details:
        detail: Json = {"@type": packed.type_url}
        kind = packed.type_url.rpartition(".")[2]
        if kind in {"ErrorInfo", "BadRequest", "RetryInfo"}:
            detail |= proto.to_json(proto.parsed(kind, packed.value))
        found.append(detail)
    return found
