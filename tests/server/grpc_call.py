"""A gRPC caller for tests: JSON in, JSON out, and what is wrong as the trailers tell it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio

import codin.a2a._proto as proto
from codin import a2a
from codin.server import App

__all__ = ["Grpc", "Refused", "calling", "read"]

_Unary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
_Stream: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]


@dataclass
class Refused:
    """A call that did not end well: its status, the error in its details, its other trailers."""

    code: str
    words: str
    error: a2a.A2AError | None
    trailers: dict[str, str]


class Grpc:
    """Calls methods of one app, over a socket."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.headers: dict[str, str] = {}

    def metadata(self, headers: dict[str, str]) -> list[tuple[str, str]]:
        known = {"a2a_version": "1.0", **headers}
        return [(name.replace("_", "-"), value) for name, value in known.items()]

    def stream(self, method: str, params: Any, **headers: str) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        """An open stream."""
        rpc: _Stream = self.channel.unary_stream(f"/{proto.SERVICE}/{method}")
        return rpc(_encoded(method, params), metadata=self.metadata(headers))

    async def raw(self, method: str, body: bytes, **headers: str) -> bytes:
        """Call with a body as it is."""
        rpc: _Unary = self.channel.unary_unary(f"/{proto.SERVICE}/{method}")
        call = rpc(body, metadata=self.metadata(headers))
        try:
            return await call
        finally:
            self.headers = {key: str(value) for key, value in await call.initial_metadata()}

    async def result(self, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
        """The JSON of the answer; fails on an error."""
        body = await self.raw(method, _encoded(method, params), **headers)
        return proto.to_json(proto.parsed(proto.RPCS[method].response, body))

    async def events(self, method: str, params: Any, **headers: str) -> list[dict[str, Any]]:
        """The JSON of all objects of a stream."""
        return [event async for event in read(self.stream(method, params, **headers))]

    async def refused(self, method: str, params: Any = None, body: bytes | None = None, **headers: str) -> Refused:
        """What is wrong; fails on an answer."""
        body = _encoded(method, params) if body is None else body
        try:
            if proto.RPCS[method].streams:
                rpc: _Stream = self.channel.unary_stream(f"/{proto.SERVICE}/{method}")
                async for _ in rpc(body, metadata=self.metadata(headers)):
                    pass
            else:
                await self.raw(method, body, **headers)
        except grpc.aio.AioRpcError as error:
            return _refused(error)
        raise AssertionError(f"{method} was answered")


async def read(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each object of a stream."""
    async for body in call:
        yield proto.to_json(proto.parsed("StreamResponse", body))


def _encoded(method: str, params: Any) -> bytes:
    message = proto.from_json(proto.RPCS[method].request, json.dumps(params or {}).encode())
    return message.SerializeToString()


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    trailers = {key: value for key, value in error.trailing_metadata() or ()}  # noqa: C416  (no mapping in every version)
    status = trailers.pop(proto.STATUS_KEY, None)
    words = error.details() or ""
    found = proto.error_of(status if isinstance(status, bytes) else None, error.code().name, words)
    return Refused(error.code().name, words, found, {key: str(value) for key, value in trailers.items()})


@asynccontextmanager
async def calling(app: App) -> AsyncGenerator[Grpc]:
    """Start an app, which has a port for gRPC, and call it."""
    await app.start()
    assert app.grpc is not None
    try:
        async with asyncio.timeout(30), grpc.aio.insecure_channel(app.grpc.address) as channel:
            yield Grpc(channel)
    finally:
        await app.close()
