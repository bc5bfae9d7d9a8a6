"""The client, and peers that answer anything at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

import codin.a2a._proto as proto
from codin import a2a
from codin.a2a import v03
from codin.client import Backoff, Peer, connect
from codin.errors import CodinError
from codin.net import MemoryTransport
from tests.fuzz.conftest import fuzz
from tests.fuzz.schema import hostile, spoiled, valid, written
from tests.fuzz.siege import nobody_left, quiet
from tests.laws.loop import run

_QUIET = 20.0
_TIMEOUT = 0.2
_LONGEST = 10.0
_ENOUGH = 20
_WHILE = 2_000_000  # bytes
_SWIFT = Backoff(tries=2, first=0.001, longest=0.001)
_URL = "http://test/"


@dataclass(frozen=True)
class Said:
    """One answer of a peer.

    Args:
        ending: how it goes on behind the last piece: it "ends", is "cut", is "silent", or says the same "for a while"
            and is cut then, or "for ever".
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    pieces: Sequence[bytes]
    ending: str = "ends"


class Hostile:
    """A peer that gives its answers in turn, whatever it is asked, and the last one from then on."""

    def __init__(self, answers: Sequence[Said]) -> None:
        self._answers = [*answers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await send({"type": "http.response.start", "status": said.status, "headers": [*said.headers]})
        for piece in said.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._end(said, receive, send)

    async def _end(self, said: Said, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        size = sum(map(len, said.pieces)) + 1
        rounds = {"for ever": count(), "for a while": range(min(200, _WHILE // size))}.get(said.ending, ())
        try:
            for _ in rounds:
                if gone.done():
                    break
                for piece in said.pieces:
                    await send({"type": "http.response.body", "body": piece or b"\n", "more_body": True})
                await asyncio.sleep(0)
            if said.ending == "silent":
                await gone
        finally:
            gone.cancel()
        if said.ending == "ends":
            await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


# -- what it says ------------------------------------------------------------------------------------------------------

_RESULTS = sorted({rpc.response for rpc in proto.RPCS.values()} - {"Empty"})
_errors = st.sampled_from([*a2a.error_table()]).map(lambda row: row.error("no", hint="h", retry_after=1.0))


def _results(dialect: str) -> st.SearchStrategy[Any]:
    results = st.sampled_from(_RESULTS).flatmap(hostile)
    if dialect == "0.3":
        events = valid("StreamResponse").map(v03.RPC.write_value)
        return events | spoiled(events) | results
    return results


def _framed(dialect: str, results: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A result or an error as a binding carries it, with the frame spoiled now and then."""
    if dialect == "HTTP+JSON":
        made = results | _errors.map(lambda error: {"error": a2a.to_status(error)})
    else:
        made = results.map(lambda result: {"jsonrpc": "2.0", "id": 1, "result": result}) | _errors.map(
            lambda error: {"jsonrpc": "2.0", "id": 1, "error": a2a.to_rpc_error(error)}
        )
    return made | spoiled(made)


_fields = st.sampled_from(
    [
        b"id: 1",
        b"id: 2",
        b"id: 99999999999999999999",
        b"id: \xff",
        b"event: error",
        b": x",
        b"retry: 1",
        b"data",
        b"\xef\xbb\xbf",
    ]
)


@st.composite
def events(draw: st.DrawFn, documents: st.SearchStrategy[bytes]) -> bytes:
    """One event, in any of the ways to write one."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    lines = [*draw(st.lists(_fields, max_size=2)), b"data: " + draw(documents)]
    return end.join([*lines, b"", b""][: draw(st.sampled_from([9, 9, 9, 9, len(lines)]))])


@st.composite
def answers(draw: st.DrawFn, dialect: str) -> Said:
    """An answer or a stream, with a status and a media type that fit or not."""
    documents = written(_framed(dialect, _results(dialect)))
    status = draw(st.sampled_from([200] * 8 + [204, 302, 400, 401, 404, 405, 413, 429, 500, 502, 503, 999]))
    media_type = draw(st.sampled_from([b"application/json"] * 3 + [b"text/event-stream"] * 4 + [b"text/html", b""]))
    headers = [(b"content-type", media_type), *draw(st.sampled_from([[], [(b"retry-after", b"9" * 400)]]))]
    piece = events(documents) if media_type == b"text/event-stream" else documents | st.binary(max_size=20)
    pieces = draw(st.lists(piece, min_size=1, max_size=4))
    # Who is told the same for ever by a living stream may listen for ever.
    again = "for a while" if media_type == b"text/event-stream" else "for ever"
    return Said(status, headers, pieces, draw(st.sampled_from(["ends"] * 6 + ["cut", "silent", again])))


# -- what is asked of it -----------------------------------------------------------------------------------------------

_Use = Callable[[Peer], Awaitable[object]]


async def some(found: AsyncGenerator[Any]) -> None:
    """As much as anybody wants to hear."""
    heard = 0
    try:
        async for _ in found:
            heard += 1
            if heard >= _ENOUGH:
                return
    finally:
        await found.aclose()


_USES: dict[str, _Use] = {
    "send": lambda peer: peer.send("x"),
    "stream": lambda peer: some(peer.stream("x")),
    "continue": lambda peer: some(peer.stream("x", task_id="t")),
    "subscribe": lambda peer: some(peer.subscribe("t")),
    "get": lambda peer: peer.get("t"),
    "list": lambda peer: some(peer.list()),
    "cancel": lambda peer: peer.cancel("t"),
    "extended card": lambda peer: peer.extended_card(),
    "create push": lambda peer: peer.create_push_config("t", "https://hook.example/"),
    "get push": lambda peer: peer.get_push_config("t", "c"),
    "list push": lambda peer: some(peer.list_push_configs("t")),
    "delete push": lambda peer: peer.delete_push_config("t", "c"),
}


def card(dialect: str, *, resumable: bool) -> a2a.AgentCard:
    """The card of a peer in one dialect."""
    binding, version = ("JSONRPC", "0.3") if dialect == "0.3" else (dialect, "1.0")
    extensions = [a2a.AgentExtension(uri=a2a.RESUME_EXTENSION)] if resumable else []
    return a2a.AgentCard(
        name="hostile",
        description="Says anything.",
        version="1",
        supported_interfaces=[a2a.AgentInterface(url=_URL, protocol_binding=binding, protocol_version=version)],
        capabilities=a2a.AgentCapabilities(streaming=True, extensions=extensions),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[],
    )


def meet(target: str | a2a.AgentCard, said: Sequence[Said], use: _Use) -> CodinError | None:
    """Use a hostile peer. Whatever it says, there is an answer, or an error of ours in time, which is given back."""
    found: list[CodinError] = []

    async def example() -> None:
        transport = MemoryTransport({"test": Hostile(said)})
        try:
            async with asyncio.timeout(_LONGEST):
                async with connect(target, transport=transport, timeout=_TIMEOUT, backoff=_SWIFT) as peer:
                    await use(peer)
        except CodinError as error:
            found.append(error)
        await transport.aclose()
        await nobody_left()

    with quiet():
        run(example, patience=_QUIET)
    return found[0] if found else None


@st.composite
def meetings(draw: st.DrawFn) -> tuple[a2a.AgentCard, Sequence[Said], str]:
    """A peer in one dialect, what it says, and what it is used for."""
    dialect = draw(st.sampled_from(["JSONRPC", "HTTP+JSON", "0.3"]))
    said = draw(st.lists(answers(dialect), min_size=1, max_size=4))
    return card(dialect, resumable=draw(st.booleans())), said, draw(st.sampled_from([*_USES]))


@fuzz
@given(meeting=meetings())
def test_a_peer_may_say_anything(meeting: tuple[a2a.AgentCard, Sequence[Said], str]) -> None:
    target, said, use = meeting
    meet(target, said, _USES[use])


@fuzz
@given(
    document=written(hostile("AgentCard")),
    ending=st.sampled_from(["ends", "cut", "silent"]),
    status=st.sampled_from([200, 200, 200, 404, 302]),
)
def test_a_card_may_say_anything(document: bytes, ending: str, status: int) -> None:
    headers = [(b"content-type", b"application/json"), (b"etag", b'"x"'), (b"cache-control", b"max-age=1e9")]
    meet(_URL, [Said(status, headers, [document], ending)], _USES["get"])
