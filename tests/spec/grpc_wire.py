"""gRPC. Spec 10."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf import json_format

import codin.a2a._proto as proto
from codin import a2a
from tests.spec.wire import Answer, Events, Refused, Wire

__all__ = ["GrpcWire"]

_Unary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
_Streaming: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
_Stream: TypeAlias = grpc.aio.UnaryStreamCall[bytes, bytes]


class GrpcWire(Wire):
    """gRPC: the tenant of a request names the agent, as the cards say."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__()
        self._channel = channel

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.grpc_status

    async def ask(self, method: str, params: Mapping[str, Any]) -> Answer:
        if proto.RPCS[method].streams:
            async with self.stream(method, params) as events:
                event = await anext(events)
            raise AssertionError(f"{method} was answered with a stream: {event}")
        rpc: _Unary = self._channel.unary_unary(f"/{proto.SERVICE}/{method}")
        call = rpc(self._encoded(method, params), metadata=self._metadata())
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None
        metadata: Mapping[str, str] = {key: str(value) for key, value in await call.initial_metadata()}
        return Answer(_decoded(proto.RPCS[method].response, body), metadata)

    @asynccontextmanager
    async def stream(self, method: str, params: Mapping[str, Any]) -> AsyncGenerator[Events]:
        rpc: _Streaming = self._channel.unary_stream(f"/{proto.SERVICE}/{method}")
        call = rpc(self._encoded(method, params), metadata=self._metadata())
        try:
            yield _events(call)
        finally:
            call.cancel()

    def _encoded(self, method: str, params: Mapping[str, Any]) -> bytes:
        tenant = "/".join(filter(None, (self.agent, params.get("tenant"))))
        return proto.from_json(
            proto.RPCS[method].request, json.dumps({**params, "tenant": tenant}).encode()
        ).SerializeToString()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple((name.lower(), value) for name, value in self.given.items())


async def _events(call: _Stream) -> Events:
    try:
        async for body in call:
            yield _decoded("StreamResponse", body)
    except grpc.aio.AioRpcError as error:
        raise _refused(error) from None


def _decoded(name: str, body: bytes) -> dict[str, Any]:
    if name == "Empty":
        return {}
    document = proto.to_json(proto.parsed(name, body))
    return {**_EMPTY_PAGE, **document} if name == "ListTasksResponse" else document


# In Protocol Buffers, an empty field that is required cannot be told from one that is not there.
_EMPTY_PAGE: Mapping[str, Any] = {"tasks": [], "nextPageToken": "", "pageSize": 0, "totalSize": 0}


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    trailers = {str(key): value for key, value in error.trailing_metadata() or ()}
    status = proto.message_class("Status").FromString(trailers.pop(proto.STATUS_KEY, b""))
    assert status.code == error.code().value[0]
    details = [{"@type": packed.type_url, **_unpacked(packed)} for packed in status.details]
    return Refused(error.code().name, status.message, details, {key: str(value) for key, value in trailers.items()})


def _unpacked(packed: Any) -> dict[str, Any]:
    name = packed.type_url.rpartition(".")[2]
    return json_format.MessageToDict(proto.message_class(name).FromString(packed.value))
