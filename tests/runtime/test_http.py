"""Endpoints over HTTP, in order and out of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from codin.errors import NoRuntime, RuntimeUnavailable, WorkloadFailed, WorkloadTimeout
from codin.net import AddressGuard
from codin.runtime import Endpoint, HttpRuntime, Item, LocalRuntime, Runtime
from codin.sandbox import Limits

pytestmark = pytest.mark.anyio

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
NEAR = AddressGuard(allow_loopback=True)


@pytest.fixture(params=[HttpRuntime, LocalRuntime])
async def runtime(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    async with request.param(guard=NEAR) as runtime:
        yield runtime


@asynccontextmanager
async def endpoint(answer: Answer) -> AsyncGenerator[str]:
    """An endpoint that answers every connection in its own way; gives its URL."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        try:
            await answer(await reader.readexactly(size), writer)
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1") as server:
        try:
            yield "http://{}:{}/".format(*server.sockets[0].getsockname())
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


def said(status: int, body: bytes, content_type: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_json_goes_out_and_json_comes_back(runtime: Runtime) -> None:
    async def add(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, json.dumps({"sum": sum(json.loads(body))}).encode(), "application/json"))

    async with endpoint(add) as url:
        done = await runtime.run(Endpoint(url, body=[1, 2, 3]))
    assert done.value == {"sum": 6}


async def test_an_answer_comes_in_pieces(runtime: Runtime) -> None:
    went_on = asyncio.Event()

    async def slowly(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n")
        await went_on.wait()
        writer.write(b"data: two\n\n")

    async with endpoint(slowly) as url, asyncio.timeout(20):
        running = await runtime.run(Endpoint(url), stream=True)
        pieces: list[str] = []
        async for event in running:
            assert isinstance(event, Item)
            pieces.append(event.value)
            went_on.set()
    assert "".join(pieces) == running.value == "data: one\n\ndata: two\n\n"
    assert len(pieces) > 1


async def test_a_status_from_400_on_is_a_failure_with_what_was_said(runtime: Runtime) -> None:
    async def refuse(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(422, b"the field a is missing"))

    async with endpoint(refuse) as url:
        with pytest.raises(WorkloadFailed, match="HTTP 422: the field a is missing"):
            await runtime.run(Endpoint(url))


async def test_json_that_is_none_is_a_failure(runtime: Runtime) -> None:
    async def lie(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, b"{", "application/json"))

    async with endpoint(lie) as url:
        with pytest.raises(WorkloadFailed, match="says JSON"):
            await runtime.run(Endpoint(url))


async def test_a_reset_is_an_error_that_says_the_outcome_is_unknown(runtime: Runtime) -> None:
    async def reset(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
        await writer.drain()
        writer.transport.abort()

    async with endpoint(reset) as url:
        with pytest.raises(RuntimeUnavailable, match="unknown"):
            await runtime.run(Endpoint(url))


async def test_an_endpoint_that_was_lost_is_called_again_when_the_workload_says_so(runtime: Runtime) -> None:
    calls = 0

    async def at_the_second_call(body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            writer.transport.abort()
        else:
            writer.write(said(200, b"there"))

    async with endpoint(at_the_second_call) as url:
        done = await runtime.run(Endpoint(url, retries=1))
    assert (done.value, done.attempts) == ("there", 2)


async def test_silence_ends_at_the_limit(runtime: Runtime) -> None:
    async def never(body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with endpoint(never) as url:
        with pytest.raises(WorkloadTimeout):
            await runtime.run(Endpoint(url, limits=Limits(time=0.2)))


async def test_an_answer_that_is_too_long_is_cut_off(runtime: Runtime) -> None:
    async def flood(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, b"x" * 100_000))

    async with endpoint(flood) as url:
        with pytest.raises(WorkloadFailed, match="too much"):
            await runtime.run(Endpoint(url, limits=Limits(output=1000)))


async def test_nobody_there(runtime: Runtime) -> None:
    async with endpoint(lambda body, writer: asyncio.sleep(0)) as url:
        gone = url
    with pytest.raises(RuntimeUnavailable, match="could not be reached"):
        await runtime.run(Endpoint(gone))


async def test_an_address_inside_is_refused_unless_somebody_said_so() -> None:
    async with HttpRuntime() as runtime:
        with pytest.raises(NoRuntime, match=r"127\.0\.0\.1"):
            await runtime.run(Endpoint("http://127.0.0.1:9/"))


async def test_cancelling_closes_the_connection(runtime: Runtime) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def endless(body: bytes, writer: asyncio.StreamWriter) -> None:
        came.set()
        try:
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            left.set()
            raise

    async with endpoint(endless) as url, asyncio.timeout(20):
        running = await runtime.run(Endpoint(url), stream=True)
        await came.wait()
        await running.cancel()
        await left.wait()
