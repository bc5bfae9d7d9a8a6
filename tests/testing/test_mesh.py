"""A mesh in memory: the real client and the real server, with nothing between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError, ConnectError, DeadlineExceeded, ResponseTooLarge, TransportError
from codin.task import Task
from codin.testing import MemoryTransport, mesh
from codin.trust import BearerTokens

pytestmark = pytest.mark.anyio


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def twice(text: str, task: Task) -> str:
    """Have it shouted, and say it twice."""
    louder = await task.call("http://shout.test/", text)
    return f"{louder.text} {louder.text}"


class Waiting:
    """An agent that begins and waits, and tells how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

        @agent
        async def wait(text: str, task: Task) -> None:
            """Begin, and wait."""
            await task.write("begun")
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()

        self.agent = wait


# -- peers -------------------------------------------------------------------------------------------------------------


async def test_agents_are_peers_by_name() -> None:
    async with mesh(shout, twice) as peers:
        assert list(peers) == ["shout", "twice"]
        assert (await peers["shout"].send("hello")).text == "HELLO"
        assert peers["shout"].card.name == "shout"


async def test_agents_call_each_other_by_url() -> None:
    async with mesh(shout, twice) as peers:
        assert peers.urls["shout"] == "http://shout.test/"
        assert (await peers["twice"].send("hello")).text == "HELLO HELLO"


async def test_a_stream_arrives_while_it_is_written() -> None:
    step = asyncio.Event()

    @agent
    async def slow(text: str) -> AsyncGenerator[str]:
        """Wait for the reader after the first piece."""
        yield "one "
        await step.wait()
        yield "two"

    async with mesh(slow) as peers, asyncio.timeout(10):
        pieces: list[str] = []
        async for event in peers["slow"].stream("go"):
            if event.text:
                pieces.append(event.text)
                step.set()
        assert pieces == ["one ", "two"]


async def test_a_reader_who_goes_away_ends_nothing_and_a_cancel_does() -> None:
    waiting = Waiting()
    async with mesh(waiting.agent) as peers, asyncio.timeout(10):
        peer = peers["wait"]
        stream = peer.stream("go")
        first = await anext(stream)
        await waiting.begun.wait()
        await stream.aclose()
        assert first.task is not None
        assert (await peer.get(first.task.id)).status.state is a2a.TaskState.WORKING
        assert (await peer.cancel(first.task.id)).status.state is a2a.TaskState.CANCELED
        await waiting.ended.wait()


async def test_a_caller_that_is_canceled_cancels_what_it_called() -> None:
    waiting = Waiting()

    @agent
    async def caller(text: str, task: Task) -> str:
        """Call who never answers."""
        return (await task.call("http://wait.test/", text)).text

    async with mesh(caller, waiting.agent) as peers, asyncio.timeout(10):
        begun = await peers["caller"].send("go", wait=False)
        await waiting.begun.wait()
        assert begun.task_id is not None
        await peers["caller"].cancel(begun.task_id)
        await waiting.ended.wait()


async def test_a_call_takes_no_longer_than_it_may() -> None:
    async with mesh(Waiting().agent) as peers:
        with pytest.raises(DeadlineExceeded):
            await peers["wait"].send("go", timeout=0.05)


async def test_another_way_to_a_peer_has_its_own_credentials() -> None:
    callers = BearerTokens({"token-a": "ann"})
    async with mesh(shout, authenticator=callers) as peers:
        with pytest.raises(a2a.Unauthenticated):
            await peers["shout"].send("hello")
        async with peers.connect("shout", token="token-a") as ann:
            assert (await ann.send("hello")).text == "HELLO"


async def test_a_store_is_shared_and_outlives_the_mesh(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'tasks.db'}"
    async with mesh(shout, twice, store=store) as peers:
        told = await peers["twice"].send("hello")
        assert told.task_id is not None
    async with mesh(shout, twice, store=store) as peers:
        assert (await peers["twice"].get(told.task_id)).status.state is a2a.TaskState.COMPLETED


async def test_nothing_of_a_caller_s_context_reaches_who_it_calls() -> None:
    mark: ContextVar[str] = ContextVar("mark", default="nothing")

    @agent
    async def look(text: str) -> str:
        """Say what is known here."""
        return mark.get()

    mark.set("something")
    async with mesh(look) as peers:
        assert (await peers["look"].send("go")).text == "nothing"


async def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two agents are 'shout'"):
        async with mesh(shout, shout):
            pass


# -- the transport -----------------------------------------------------------------------------------------------------


async def _large(request: Request) -> StreamingResponse:
    async def body() -> AsyncGenerator[bytes]:
        while True:
            yield b"x" * 1000

    return StreamingResponse(body())


async def _broken(request: Request) -> StreamingResponse:
    async def body() -> AsyncGenerator[bytes]:
        yield b"half"
        raise RuntimeError("the other half is missing")

    return StreamingResponse(body())


async def _fails(request: Request) -> PlainTextResponse:
    raise RuntimeError("no answer at all")


async def _echo(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {request.url} {request.headers['x-word']} {body.decode()}")


ROUTES = [
    Route("/large", _large),
    Route("/broken", _broken),
    Route("/fails", _fails),
    Route("/echo", _echo, methods=["PUT"]),
]


def transport() -> MemoryTransport:
    return MemoryTransport({"there.test": Starlette(routes=ROUTES)})


async def test_a_request_is_what_was_sent() -> None:
    answer = await transport().request(
        "PUT", "http://there.test/echo?a=1", headers={"X-Word": "w"}, content=b"body", timeout=5.0
    )
    assert answer.body == b"PUT http://there.test/echo?a=1 w body"
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")


async def test_nobody_is_at_an_unknown_host() -> None:
    with pytest.raises(ConnectError, match=r"Nobody is at 'here.test' in this mesh; there are there.test"):
        await transport().request("GET", "http://here.test/", headers={}, timeout=5.0)


async def test_an_answer_has_a_bound() -> None:
    way = transport()
    with pytest.raises(ResponseTooLarge):
        await way.request("GET", "http://there.test/large", headers={}, timeout=5.0, limit=5000)
    await way.aclose()


async def test_an_application_that_breaks_off_is_a_lost_connection(caplog: Any) -> None:
    with pytest.raises(TransportError, match="was lost"):
        await transport().request("GET", "http://there.test/broken", headers={}, timeout=5.0)
    assert "the other half is missing" in caplog.text


async def test_an_application_that_fails_answers_500(caplog: Any) -> None:
    answer = await transport().request("GET", "http://there.test/fails", headers={}, timeout=5.0)
    assert answer.status == 500
    assert "no answer at all" in caplog.text
