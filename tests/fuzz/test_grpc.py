"""gRPC under attack, also with tasks that were made in another binding."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from tests.fuzz.conftest import fuzz
from tests.fuzz.schema import encoded, hostile, written
from tests.fuzz.siege import SECRET, TOKEN, Asked, Siege, new_app, nobody_left, quiet
from tests.fuzz.sound import Details, check_error, read_json, verdict

_Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
_METHODS = [*proto.RPCS]
_STATUSES = {row.grpc_status: row for row in a2a.error_table()}
_PATIENCE = 10.0
_KNOWN = f"Bearer {TOKEN}".encode()

_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12) | st.sampled_from(
    ["1.0", "9.9", "0.3", "", "0", "999", "x" * 3000, "urn:codin:a2a:resume:v1", "e30", "Bearer"]
)
_names = st.sampled_from(
    [
        *("a2a-version", "a2a-extensions", "last-event-id", "idempotency-key", "codin-call", "traceparent", "baggage"),
        *("authorization", "x-correlation-id", "content-length", "host", "x"),
    ]
)


@dataclass(frozen=True)
class Called:
    """One call.

    Args:
        before: a message that is sent over JSON-RPC first, whose task the call may ask for.
    """

    method: str
    body: bytes
    metadata: _Metadata
    before: bytes | None = None


@st.composite
def calls(draw: st.DrawFn) -> Called:
    method = draw(st.sampled_from(_METHODS))
    metadata: list[tuple[str, str | bytes]] = [("a2a-version", "1.0")]
    metadata.append(("authorization", f"Bearer {draw(st.sampled_from([TOKEN, TOKEN, SECRET]))}"))
    metadata += draw(st.lists(st.tuples(_names, _values), max_size=2))
    metadata += draw(st.just([]) | st.just([("x-bin", b"\xff\0")]))
    before = draw(st.none() | st.none() | written(hostile("SendMessageRequest")))
    return Called(method, draw(encoded(proto.RPCS[method].request)), metadata, before)


class Line:
    """A channel to an app that is under siege, on a loop that all examples share: gRPC has threads of its own."""

    def __init__(self, runner: asyncio.Runner, siege: Siege, channel: grpc.aio.Channel) -> None:
        self.runner = runner
        self.siege = siege
        self._channel = channel

    async def call(self, called: Called) -> list[bytes]:
        """The messages that come back; of a subscription, the first one."""
        if called.before is not None:
            headers = [(b"content-type", b"application/json"), (b"a2a-version", b"1.0")]
            await self.siege.ask(Asked("POST", b"/", b"", headers, _enveloped(called.before)))
        multi = self._channel.unary_stream if proto.RPCS[called.method].streams else None
        body = self.siege.real(called.body)
        if multi is None:
            unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_path(called.method))
            return [await unary(body, metadata=tuple(called.metadata), timeout=_PATIENCE)]
        stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = multi(_path(called.method))
        answer = stream(body, metadata=tuple(called.metadata), timeout=_PATIENCE)
        found: list[bytes] = []
        async for each in answer:
            found.append(each)
            if called.method == "SubscribeToTask":
                answer.cancel()
                break
        return found


def _path(method: str) -> str:
    return f"/{proto.SERVICE}/{method}"


def _enveloped(params: bytes) -> bytes:
    return a2a.call_bytes(b"1", "SendMessage", params)


@pytest.fixture(params=[False, True], ids=["open", "guarded"])
def line(request: pytest.FixtureRequest) -> Generator[Line]:
    with asyncio.Runner() as runner:
        siege = Siege(new_app(guarded=request.param, grpc_port=0, public_url="http://agents.example"))
        runner.run(siege.app.start())
        runner.run(siege.begin())
        assert siege.app.grpc is not None

        async def dial(address: str) -> grpc.aio.Channel:
            return grpc.aio.insecure_channel(address)

        channel = runner.run(dial(siege.app.grpc.address))
        yield Line(runner, siege, channel)
        runner.run(siege.end())
        runner.run(channel.close())
        runner.run(siege.app.close())
        runner.run(nobody_left())


def check_refusal(error: grpc.aio.AioRpcError, sent: Any) -> Details:
    """A status of the table, with the rest in `google.rpc.Status`, and no secret anywhere. Returns the details."""
    code, words = error.code(), error.details() or ""
    trailers = dict(error.trailing_metadata() or ())
    said = repr((words, trailers))
    assert SECRET not in said
    assert TOKEN not in said
    assert code.name in _STATUSES, error
    assert code not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, error
    status = proto.message_class("Status").FromString(trailers[proto.STATUS_KEY])
    assert status.code == code.value[0]
    details: list[dict[str, Any]] = []
    for packed in status.details:
        kind = packed.type_url.rpartition(".")[2]
        found = json_format.MessageToDict(proto.message_class(kind).FromString(packed.value))
        details.append({"@type": packed.type_url, "metadata": {}, **found})
    return check_error(status.message, details, sent)


async def check_alike(siege: Siege, method: str, sent: Any, details: Details) -> None:
    """JSON-RPC says the same of a request that is wrong in itself."""
    if verdict(details)[0] != "INVALID_PARAMS":
        return
    headers = [(b"content-type", b"application/json"), (b"a2a-version", b"1.0"), (b"authorization", _KNOWN)]
    body = a2a.call_bytes(b"1", method, json.dumps(sent).encode())
    answer = await siege.ask(Asked("POST", b"/", b"", headers, body))
    assert verdict(read_json(answer.body)["error"]["data"]) == verdict(details)


@fuzz
@given(called=st.lists(calls(), min_size=1, max_size=4))
def test_every_call_has_a_sound_answer(line: Line, called: Sequence[Called]) -> None:
    async def example() -> None:
        for each in called:
            rpc = proto.RPCS[each.method]
            try:
                for answer in await line.call(each):
                    proto.message_class(rpc.response).FromString(answer)
            except grpc.aio.AioRpcError as error:
                said = _said(rpc.request, line.siege.real(each.body))
                await check_alike(line.siege, each.method, said, check_refusal(error, said))

    with quiet():
        line.runner.run(example())


def _said(name: str, body: bytes) -> Any:
    try:
        return proto.to_json(proto.parsed(name, body))
    except a2a.A2AError:
        return None
