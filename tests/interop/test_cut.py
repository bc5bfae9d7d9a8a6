"""A stream whose connections are cut at drawn bytes tells its reader everything once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import httpx
from hypothesis import event as seen_in_statistics
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codin import a2a
from codin.agent import agent
from codin.client import Backoff, Event, Peer, connect
from codin.errors import TransportError
from codin.server import App
from tests.interop.proxy import CuttingProxy, behind, cutting
from tests.server.sockets import listening

PATIENT = 30.0
SWIFT = Backoff(first=0.001, longest=0.01)
PIECES = [f"piece {number} " for number in range(20)]
TEXT = "".join(PIECES)
_keys = count(1)
LENGTH = 7000  # about as many bytes as a stream has

transports = st.sampled_from(["httpx", "asyncio"])
bindings = st.sampled_from(["JSONRPC", "HTTP+JSON"])


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


@asynccontextmanager
async def cut_peer(
    url: str, cuts: list[int], transport: str, binding: str
) -> AsyncGenerator[tuple[Peer, Peer, CuttingProxy]]:
    """The peer at a URL through a proxy, the same peer without one, and the proxy."""
    async with (
        asyncio.timeout(PATIENT),
        connect(url, transport=transport) as straight,
        cutting(straight.card.supported_interfaces[0].url, cuts) as proxy,
        connect(behind(proxy.url, straight.card), transport=transport, backoff=SWIFT, binding=binding) as peer,
    ):
        yield peer, straight, proxy


@given(
    cuts=st.lists(st.integers(0, LENGTH), min_size=1, max_size=4),
    paced=st.booleans(),
    transport=transports,
    binding=bindings,
)
@example(cuts=[0], paced=True, transport="httpx", binding="JSONRPC")
@example(cuts=[300, 0, 0], paced=True, transport="asyncio", binding="JSONRPC")
@example(cuts=[300, 0, 0], paced=True, transport="httpx", binding="HTTP+JSON")
@settings(max_examples=25)
def test_a_cut_stream_of_codin_tells_every_event_once(
    cuts: list[int], paced: bool, transport: str, binding: str
) -> None:
    async def tell() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        runs = 0

        @agent
        async def talker(text: str) -> AsyncIterator[str]:
            """Says the next thing when it was heard, or all at once."""
            nonlocal runs
            runs += 1
            for piece in PIECES:
                yield piece
                if paced:
                    assert await heard.get() == piece

        async with (
            listening(App(talker)) as served,
            cut_peer(served.url, cuts, transport, binding) as (peer, straight, proxy),
        ):
            events: list[Event] = []
            async for event in peer.stream("go"):
                events.append(event)
                if event.text:
                    heard.put_nowait(event.text)
            assert said(events) == TEXT
            task = events[-1].task
            assert task is not None
            assert runs == 1  # however often the message was sent
            assert task == await straight.get(task.id)
            first, *others = events
            replayed = [event async for event in straight.subscribe(task.id, after=first.number)]
            assert [(event.number, event.value, event.text) for event in others] == [
                (event.number, event.value, event.text) for event in replayed
            ]
            seen_in_statistics(f"connections: {proxy.connections}")

    asyncio.run(tell())


@given(
    first=st.integers(900, LENGTH),
    further=st.lists(st.integers(0, LENGTH), max_size=3),
    more=st.integers(0, 5),
    lag=st.integers(0, 12),
    transport=transports,
    binding=bindings,
)
@example(first=100, further=[], more=0, lag=0, transport="httpx", binding="JSONRPC")
@example(first=2000, further=[1000], more=4, lag=3, transport="httpx", binding="HTTP+JSON")
@example(first=3000, further=[], more=4, lag=4, transport="asyncio", binding="JSONRPC")
@settings(max_examples=25)
def test_a_cut_stream_of_an_official_server_tells_the_whole_text_once(
    official_server: str, first: int, further: list[int], more: int, lag: int, transport: str, binding: str
) -> None:
    """The agent says the next piece when the last one was heard, and some more just while the client attaches again.

    The Python SDK tells some of these twice: it begins to queue updates for a subscriber before it makes the Task that
    the subscriber gets first, and nothing in an update says whether that Task has it already.
    """

    async def tell() -> None:
        key = str(next(_keys))
        cut = cut_peer(official_server, [first, *further], transport, binding)
        async with cut as (peer, straight, proxy), httpx.AsyncClient() as http:
            events: list[Event] = []
            try:
                async for event in peer.stream(f"steps {len(PIECES)} {key} {more} {lag}"):
                    events.append(event)
                    if event.text:
                        await http.post(f"{official_server}release/{key}")
            except TransportError:
                # A plain server would act on the message twice, so before its task is known it is not sent again.
                assert events == []
                seen_in_statistics("cut before the task was known")
                return
            assert said(events) == TEXT
            task = events[-1].task
            assert task is not None
            assert task.status.state == a2a.TaskState.COMPLETED
            assert a2a.text_of(task.artifacts[0].parts) == TEXT
            assert task.status == (await straight.get(task.id)).status
            seen_in_statistics(f"connections: {proxy.connections}")

    asyncio.run(tell())
