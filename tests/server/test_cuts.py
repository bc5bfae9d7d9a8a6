"""Law 3 over HTTP: a connection that breaks at any byte, and a client that goes on behind the last event it has."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from codin.server import App
from tests.server.puppet import Puppet
from tests.server.rpc import message
from tests.server.sockets import RawClient, listening

pytestmark = pytest.mark.anyio

KEY = {"Idempotency-Key": "k"}
SEND = {"message": message("a")}


async def first_bytes(url: str, count: int) -> RawClient:
    """A client that sends, and whose connection breaks behind that many bytes of the answer."""
    with closing(await RawClient.call(url, "SendStreamingMessage", SEND, headers=KEY)) as client:
        await client.exactly(count)
    return client


async def resume(url: str, client: RawClient) -> RawClient:
    """Go on where a client was cut: behind its last event, or with the same key when it has none."""
    if not client.events:
        return await RawClient.call(url, "SendStreamingMessage", SEND, headers=KEY)
    after = {"Last-Event-ID": str(client.events[-1][0])}
    return await RawClient.call(url, "SubscribeToTask", {"id": client.task_id}, headers=after)


async def test_bytes_of_a_finished_stream() -> None:
    puppet = Puppet()
    app = App(puppet)
    async with listening(app) as served:
        whole = await RawClient.call(served.url, "SendStreamingMessage", SEND, headers=KEY)
        await puppet.strings["a"].write("ä\u2028\n", "b")
        puppet.strings["a"].end()
        await whole.end()
        assert len(whole.events) == 5

        async def cut(count: int) -> None:
            client = await first_bytes(served.url, count)
            rest = await resume(served.url, client)
            assert client.events + await rest.end() == whole.events

        again = await RawClient.call(served.url, "SendStreamingMessage", SEND, headers=KEY)
        assert await again.end() == whole.events
        places = range(0, again.received, 3)
        for start in range(0, len(places), 20):
            await asyncio.gather(*(cut(count) for count in places[start : start + 20]))
        assert app.open_streams == 0


async def test_bytes_of_a_running_stream() -> None:
    puppet = Puppet()
    string = puppet.strings["a"]
    app = App(puppet)
    async with listening(app) as served:
        whole = await RawClient.call(served.url, "SendStreamingMessage", SEND, headers=KEY)
        await string.write("x", "ä\u2028\n", "z")
        await whole.seen(4)
        again = await RawClient.call(served.url, "SendStreamingMessage", SEND, headers=KEY)
        await again.seen(4)
        again.close()
        places = range(0, again.received, 11)
        cut = [await first_bytes(served.url, count) for count in places]
        await string.write("while they were away")
        rest = [await resume(served.url, client) for client in cut]
        await string.write("with them")
        string.end()
        await whole.end()
        for client, further in zip(cut, rest, strict=True):
            assert client.events + await further.end() == whole.events
