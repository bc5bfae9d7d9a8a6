"""What a signal does to a server in its own process: drain, and leave."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import pytest

from tests.server.exchange import call_body, state_of
from tests.server.process import Process, running
from tests.server.rpc import HEADERS, message
from tests.server.sockets import RawClient

pytestmark = pytest.mark.anyio

PROGRAM = "tests.server.holder"


async def begun(process: Process, text: str) -> RawClient:
    """A stream whose agent has begun."""
    client = await RawClient.call(process.url, "SendStreamingMessage", {"message": message(text)})
    await client.seen(2)
    return client


async def call(http: httpx.AsyncClient, method: str, params: Any) -> dict[str, Any]:
    response = await http.post("/", content=call_body(method, params), headers=HEADERS)
    return response.json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(number: signal.Signals) -> None:
    async with running(PROGRAM, limits={"drain": 20}) as process, httpx.AsyncClient(base_url=process.url) as http:
        hold, ask = await begun(process, "hold"), await begun(process, "ask")
        await ask.end()
        assert state_of(ask.events[-1][1]) == "TASK_STATE_INPUT_REQUIRED"
        watching = await RawClient.call(process.url, "SubscribeToTask", {"id": ask.task_id})
        await watching.seen(1)
        unary = asyncio.ensure_future(call(http, "SendMessage", {"message": message("hold")}))
        while (await call(http, "ListTasks", {}))["result"]["totalSize"] < 3:
            pass

        process.send(number)
        while (await http.get("/readyz")).status_code != 503:
            pass
        assert (await http.get("/healthz")).status_code == 200
        refused = await http.post("/", content=call_body("SendMessage", {"message": message()}), headers=HEADERS)
        assert refused.json()["error"]["code"] == -32050
        assert int(refused.headers["retry-after"]) >= 1
        task = (await call(http, "GetTask", {"id": hold.task_id}))["result"]
        assert task["status"]["state"] == "TASK_STATE_WORKING"

        process.tell("release")
        await asyncio.gather(hold.end(), watching.end())
        assert state_of(hold.events[-1][1]) == "TASK_STATE_COMPLETED"
        assert (await unary)["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
        await process.ended()
        assert await process.errors() == ""


async def test_what_does_not_finish_in_time_is_failed_and_its_stream_ends_properly() -> None:
    async with running(PROGRAM, limits={"drain": 0.2}) as process:
        hold = await begun(process, "hold")
        process.send(signal.SIGTERM)
        await hold.end()
        assert state_of(hold.events[-1][1]) == "TASK_STATE_FAILED"
        await process.ended()


async def test_the_log_says_what_it_waits_for() -> None:
    settings: dict[str, Any] = {"limits": {"drain": 20}, "logs": "info"}
    async with running(PROGRAM, **settings) as process, httpx.AsyncClient(base_url=process.url) as http:
        first, second = await begun(process, "hold"), await begun(process, "hold")
        process.send(signal.SIGTERM)
        while (await http.get("/readyz")).status_code != 503:
            pass
        process.tell("release")
        await asyncio.gather(first.end(), second.end())
        await process.ended()
        assert "codin.server: draining: waiting for 2 running turns, for 20 s at most" in await process.errors()


async def test_a_second_signal_does_not_wait() -> None:
    async with running(PROGRAM, limits={"drain": 100}) as process, httpx.AsyncClient(base_url=process.url) as http:
        hold = await begun(process, "hold")
        process.send(signal.SIGTERM)
        while (await http.get("/readyz")).status_code != 503:
            pass
        process.send(signal.SIGTERM)
        assert await process.ended(within=50) == -signal.SIGTERM
        hold.close()


async def test_idle_connections_do_not_hold_it_up() -> None:
    async with running(PROGRAM) as process, httpx.AsyncClient(base_url=process.url) as http:
        assert (await http.get("/healthz")).status_code == 200
        silent = await asyncio.open_connection(*process.address)
        half = await asyncio.open_connection(*process.address)
        half[1].write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        process.send(signal.SIGTERM)
        await process.ended(within=15)
        for _, writer in (silent, half):
            writer.close()


async def test_a_reader_that_takes_nothing_does_not_hold_it_up() -> None:
    async with running(PROGRAM, limits={"drain": 0.2}) as process:
        client = await RawClient.call(
            process.url, "SendStreamingMessage", {"message": message("flood")}, receive_buffer=4096
        )
        await client.seen(2)
        beside = {"Last-Event-ID": str(client.events[0][0])}
        other = await RawClient.call(process.url, "SubscribeToTask", {"id": client.task_id}, headers=beside)
        await other.seen(61)
        process.send(signal.SIGTERM)
        await other.end()
        await process.ended(within=15)
        assert await process.errors() == ""
        client.close()


async def test_a_reader_that_leaves_the_last_of_it_does_not_hold_it_up_either() -> None:
    """What is left is so little that the server is done with it; the connection is not."""
    async with running(PROGRAM, limits={"drain": 0.2}, send_buffer=4096) as process:
        client = await RawClient.call(
            process.url, "SendStreamingMessage", {"message": message("spill")}, receive_buffer=4096
        )
        await client.seen(1)
        beside = {"Last-Event-ID": str(client.events[0][0])}
        other = await RawClient.call(process.url, "SubscribeToTask", {"id": client.task_id}, headers=beside)
        await other.until(lambda: other.received > 50_000)
        process.send(signal.SIGTERM)
        await other.end()
        await process.ended()
        assert await process.errors() == ""
        client.close()
