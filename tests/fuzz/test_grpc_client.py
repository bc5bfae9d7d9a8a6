"""The client, and peers that answer anything at all over gRPC."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from codin.client import Backoff, Peer, connect
from codin.errors import BadResponse, CodinError, DeadlineExceeded, ResponseTooLarge, TransportError
from tests.fuzz.conftest import fuzz
from tests.fuzz.frames import DATA, END, GOAWAY, PING, RST, SETTINGS, Script, fields, frame, message, saying
from tests.fuzz.schema import encoded, texts
from tests.fuzz.siege import nobody_left, quiet
from tests.fuzz.test_client import some

_SWIFT = Backoff(tries=2, first=0.001, longest=0.001)
_TIMEOUT = 0.5
_LONGEST = 10.0
_METHODS = [*proto.RPCS]
_CODES = [*grpc.StatusCode]

_Use = Callable[[Peer], Awaitable[object]]
_USES: dict[str, _Use] = {
    "send": lambda peer: peer.send("x"),
    "stream": lambda peer: some(peer.stream("x")),
    "subscribe": lambda peer: some(peer.subscribe("t")),
    "get": lambda peer: peer.get("t"),
    "list": lambda peer: some(peer.list()),
    "cancel": lambda peer: peer.cancel("t"),
    "extended card": lambda peer: peer.extended_card(),
    "create push": lambda peer: peer.create_push_config("t", "https://hook.example/"),
    "list push": lambda peer: some(peer.list_push_configs("t")),
    "delete push": lambda peer: peer.delete_push_config("t", "c"),
}


def card(address: str, *, resumable: bool = False) -> a2a.AgentCard:
    extensions = [a2a.AgentExtension(uri=a2a.RESUME_EXTENSION)] if resumable else []
    return a2a.AgentCard(
        name="hostile",
        description="Says anything.",
        version="1",
        supported_interfaces=[a2a.AgentInterface(url=address, protocol_binding="GRPC", protocol_version="1.0")],
        capabilities=a2a.AgentCapabilities(streaming=True, extensions=extensions),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[],
    )


async def meet(address: str, use: _Use, *, resumable: bool = False, timeout: float = _TIMEOUT) -> CodinError | None:
    """Use a hostile peer. Whatever it says, there is an answer, or an error of ours in time, which is given back."""
    target = card(address, resumable=resumable)
    try:
        async with asyncio.timeout(_LONGEST), connect(target, timeout=timeout, backoff=_SWIFT) as peer:
            await use(peer)
    except CodinError as error:
        return error
    return None


# -- what a server of gRPC lets through --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One answer.

    Args:
        ending: behind the last message the call "ends", is "silent", or says the same "for a while".
        status: the number of the status, and its words; None is a call that ends well.
    """

    bodies: Sequence[bytes]
    ending: str
    status: tuple[grpc.StatusCode, str] | None
    trailers: Sequence[tuple[str, str | bytes]]


@st.composite
def _status(draw: st.DrawFn, kind: str, fields: st.SearchStrategy[dict[str, Any]]) -> bytes:
    """A Status with one detail, which may not be what it says it is."""
    made = proto.message_class(kind)(**draw(fields)).SerializeToString()
    name = draw(st.sampled_from([kind, kind, kind, "ErrorInfo", "RetryInfo", "Any", ""]))
    value = draw(st.just(made) | st.just(made) | st.binary(max_size=12))
    detail = {"type_url": f"type.googleapis.com/google.rpc.{name}", "value": value}
    code, words = draw(st.sampled_from([0, 3, 5, -1, 2**31 - 1])), draw(st.sampled_from(["", "no", "x" * 1000, "é"]))
    return proto.message_class("Status")(code=code, message=words, details=[detail]).SerializeToString()


_infos = _status(
    "ErrorInfo",
    st.fixed_dictionaries(
        {
            "reason": st.sampled_from([*(row.reason for row in a2a.error_table()), "", "NOTHING", "x" * 500]),
            "domain": st.sampled_from(["a2a-protocol.org", "a2a-protocol.org", "", "elsewhere"]),
            "metadata": st.dictionaries(st.sampled_from(["hint", "", "k"]), st.sampled_from(["", "h"]), max_size=3),
        }
    ),
)
_seconds = st.sampled_from([0, 1, -1, 2**62, 315576000001])
_nanos = st.sampled_from([0, -1, 2**31 - 1])
_durations = st.fixed_dictionaries({"seconds": _seconds, "nanos": _nanos})
_pauses = _status("RetryInfo", st.fixed_dictionaries({"retry_delay": _durations}))
# What is concatenated is merged, so these are a Status with both details.
_details = st.binary(max_size=30) | _infos | _pauses | st.builds(bytes.__add__, _infos, _pauses)
_names = st.sampled_from(["x", "a2a-version", "x-bin", "retry-after", "content-type", "www-authenticate"])


@st.composite
def answers(draw: st.DrawFn) -> Said:
    name = draw(st.sampled_from(["StreamResponse", "StreamResponse", *(rpc.response for rpc in proto.RPCS.values())]))
    bodies = draw(st.lists(encoded(name) | st.binary(max_size=20), max_size=4))
    status = draw(st.none() | st.tuples(st.sampled_from(_CODES), texts.filter(lambda text: "\0" not in text)))
    keys = draw(st.lists(_names, max_size=2))
    trailers: list[tuple[str, str | bytes]] = [(key, b"\xff\0" if key.endswith("-bin") else "x") for key in keys]
    if draw(st.booleans()):
        trailers.append((proto.STATUS_KEY, draw(_details)))
    return Said(bodies, draw(st.sampled_from(["ends"] * 18 + ["silent", "for a while"])), status, trailers)


class Hostile(grpc.GenericRpcHandler):
    """Says the same to every call, as a stream whatever the call is."""

    def __init__(self) -> None:
        self.said = Said([], "ends", None, [])

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_stream_rpc_method_handler(self._say)  # pyright: ignore[reportArgumentType]  (aio)

    async def _say(self, body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        said = self.said
        for _ in range(100 if said.ending == "for a while" else 1):
            for each in said.bodies:
                yield each
        if said.ending == "silent":
            await asyncio.Event().wait()
        context.set_trailing_metadata(tuple(said.trailers))
        if said.status is not None and said.status[0] is not grpc.StatusCode.OK:
            await context.abort(*said.status, trailing_metadata=tuple(said.trailers))


class Place:
    """A server and a loop that outlive the tests: gRPC tells a loop of what nobody waits for any more."""

    def __init__(self, runner: asyncio.Runner, hostile: Hostile, address: str) -> None:
        self.runner = runner
        self.hostile = hostile
        self.address = address


@pytest.fixture(scope="module")
def place() -> Generator[Place]:
    with asyncio.Runner() as runner:
        hostile = Hostile()

        async def begin() -> tuple[grpc.aio.Server, str]:
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((hostile,))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            return server, f"127.0.0.1:{port}"

        server, address = runner.run(begin())
        yield Place(runner, hostile, address)
        runner.run(server.stop(0))
        runner.run(nobody_left())


@settings(fuzz, max_examples=max(10, fuzz.max_examples // 4))  # each has a connection of its own
@given(said=answers(), use=st.sampled_from([*_USES]), resumable=st.booleans())
def test_a_peer_may_say_anything_over_grpc(place: Place, said: Said, use: str, resumable: bool) -> None:
    if resumable and said.bodies and said.ending == "silent":
        said = replace(said, ending="ends")  # a stream that lives may be listened to for ever
    place.hostile.said = said
    with quiet():
        place.runner.run(meet(place.address, _USES[use], resumable=resumable, timeout=0.1))


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("use", _USES)
def test_a_peer_that_says_nothing_is_not_waited_for(place: Place, use: str, resumable: bool) -> None:
    place.hostile.said = Said([], "silent", None, [])
    error = place.runner.run(meet(place.address, _USES[use], resumable=resumable, timeout=0.1))
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize("seconds", [2**62, -1, 3])
def test_a_time_that_is_none_hides_no_error(place: Place, seconds: int) -> None:
    kinds = {"ErrorInfo": {"reason": "TASK_NOT_FOUND", "domain": "a2a-protocol.org"}}
    kinds |= {"RetryInfo": {"retry_delay": {"seconds": seconds}}}
    made = {kind: proto.message_class(kind)(**given).SerializeToString() for kind, given in kinds.items()}
    details = [{"type_url": f"type.googleapis.com/google.rpc.{kind}", "value": value} for kind, value in made.items()]
    status = proto.message_class("Status")(code=5, details=details).SerializeToString()
    place.hostile.said = Said([], "ends", (grpc.StatusCode.NOT_FOUND, "no"), [(proto.STATUS_KEY, status)])
    error = place.runner.run(meet(place.address, _USES["get"], timeout=_LONGEST))
    assert isinstance(error, a2a.TaskNotFound)
    assert error.retry_after == (3.0 if seconds == 3 else None)


def test_a_stream_that_never_ends_is_left(place: Place) -> None:
    update = {"statusUpdate": {"taskId": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}}
    body = proto.from_json("StreamResponse", a2a.StreamResponse.from_dict(update).to_json()).SerializeToString()
    place.hostile.said = Said([body] * 1000, "for a while", None, [])
    assert place.runner.run(meet(place.address, _USES["stream"], timeout=_LONGEST)) is None
    # Where one answer is due, many are none.
    assert isinstance(place.runner.run(meet(place.address, _USES["get"])), CodinError)


@pytest.mark.parametrize("use", ["send", "stream"])
def test_a_message_beyond_the_bound_is_too_large(place: Place, use: str) -> None:
    place.hostile.said = Said([b"\x0a" * (64 * 1024 * 1024 + 1)], "ends", None, [])
    assert isinstance(place.runner.run(meet(place.address, _USES[use], timeout=_LONGEST)), ResponseTooLarge)


# -- what no server of gRPC would say ----------------------------------------------------------------------------------

_BEGIN = fields((b":status", b"200"), (b"content-type", b"application/grpc"))
_TASK = proto.from_json("Task", b'{"id":"t","status":{"state":3}}').SerializeToString()


def _end(*pairs: tuple[bytes, bytes]) -> bytes:
    return fields(*pairs, last=True)


_SCRIPTS: dict[str, list[bytes]] = {
    "nothing": [b""],
    "random bytes": [bytes(range(256)) * 8],
    "another protocol": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
    "a page": [fields((b":status", b"200"), (b"content-type", b"text/html")), frame(DATA, b"<html>", END)],
    "a redirect": [_end((b":status", b"302"), (b"location", b"http://127.0.0.1:1/"))],
    "an error of HTTP": [_end((b":status", b"503"), (b"retry-after", b"9" * 400))],
    "no status of HTTP": [_end((b":status", b"999999"))],
    "data before headers": [frame(DATA, b"x")],
    "a frame of no kind": [frame(0xFF, b"x" * 100)],
    "a frame that is too large": [(2**24 - 1).to_bytes(3) + bytes([DATA, 0]) + b"\0\0\0\1" + b"x" * 70_000],
    "fields that are none": [frame(1, b"\xff" * 50, 4)],
    "a cut": [_BEGIN],
    "a cut in a message": [_BEGIN, message(_TASK, size=1000)],
    "a message of four gigabytes": [_BEGIN, message(b"x" * 1000, size=2**32 - 1)],
    "a message compressed by nobody": [_BEGIN, message(_TASK, compressed=1), _end((b"grpc-status", b"0"))],
    "a message with a wrong flag": [_BEGIN, message(_TASK, compressed=0xFF), _end((b"grpc-status", b"0"))],
    "no message, and all is well": [_BEGIN, _end((b"grpc-status", b"0"))],
    "a message without a status": [_BEGIN, message(_TASK), _end((b"x", b"y"))],
    "a status that is none": [_BEGIN, message(_TASK), _end((b"grpc-status", b"well"))],
    "a status that nobody knows": [_BEGIN, _end((b"grpc-status", b"4711"), (b"grpc-message", b"%ff%zz\xff"))],
    "two statuses": [_BEGIN, message(_TASK), _end((b"grpc-status", b"0"), (b"grpc-status", b"5"))],
    "a good status with an error in it": [
        _BEGIN, _end((b"grpc-status", b"0"), (b"grpc-status-details-bin", b"CAMSAm5v")),
    ],
    "details that are no base64": [_BEGIN, _end((b"grpc-status", b"3"), (b"grpc-status-details-bin", b"!!!"))],
    "details that are no status": [_BEGIN, _end((b"grpc-status", b"3"), (b"grpc-status-details-bin", b"/////w"))],
    "trailers without end": [_BEGIN, *[fields((b"x", b"y" * 16_000), last=True)] * 8],
    "a reset": [_BEGIN, frame(RST, b"\0\0\0\x08")],
    "a reset of no stream": [frame(RST, b"\0\0\0\x08", stream=0)],
    "a farewell": [frame(GOAWAY, b"\0\0\0\0\0\0\0\0bye", stream=0)],
    "settings that are none": [frame(SETTINGS, b"x", stream=0)],
    "settings without a window": [frame(SETTINGS, b"\0\4\xff\xff\xff\xff", stream=0)],
}  # fmt: skip


async def told(
    script: Script, use: str, *, for_ever: bool = False, opening: bytes | None = None
) -> tuple[str, CodinError | None]:
    """Where a peer of frames was, and what came of using it."""
    async with saying(script, for_ever=for_ever, opening=opening) as address:
        return address, await meet(address, _USES[use])


@pytest.mark.parametrize("use", ["get", "stream"])
@pytest.mark.parametrize("script", _SCRIPTS)
def test_frames_may_hold_anything(place: Place, script: str, use: str) -> None:
    address, error = place.runner.run(told(_SCRIPTS[script], use))
    expected = (TransportError, BadResponse, ResponseTooLarge, a2a.A2AError)
    assert isinstance(error, expected), error
    assert address in str(error) or isinstance(error, a2a.A2AError)


@pytest.mark.parametrize("use", ["get", "stream"])
@pytest.mark.parametrize(
    "opening", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 4096, b"\x15\3\1\0\2\2\x28"], ids=range(4)
)
def test_a_connection_may_begin_with_anything(place: Place, opening: bytes, use: str) -> None:
    _, error = place.runner.run(told([b""], use, opening=opening))
    assert isinstance(error, TransportError)


@pytest.mark.parametrize("use", ["get", "stream"])
@pytest.mark.parametrize(
    "piece",
    [
        frame(PING, b"12345678", stream=0),
        frame(SETTINGS, stream=0),
        message(b""),
        message(b"\x98\x06\x01" * 1000),
        frame(DATA, b""),
        frame(0xFF, b"x" * 1000),
    ],
    ids=["pings", "settings", "empty messages", "messages of unknown fields", "empty frames", "unknown frames"],
)
def test_what_never_ends_is_not_waited_for(place: Place, piece: bytes, use: str) -> None:
    tracemalloc.start()
    try:
        _, error = place.runner.run(told([_BEGIN, piece * 10], use, for_ever=True))
        assert isinstance(error, CodinError)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
