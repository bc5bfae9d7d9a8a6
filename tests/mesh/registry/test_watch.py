"""Watching a registry, over sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from codin.errors import TransportError
from codin.mesh.registry import Registry, RegistryApp, RegistryLimits
from tests.mesh.registry.desk import Agent
from tests.server.exchange import eventually
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(**settings: Any) -> AsyncGenerator[tuple[RegistryApp, Registry]]:
    """A registry on a port."""
    app = RegistryApp(**settings)
    async with listening(app) as server, Registry(server.url, fresh=3600.0) as registry:
        try:
            yield app, registry
        finally:
            app.end_streams()


async def test_a_watcher_sees_who_comes_changes_and_goes() -> None:
    echo = Agent("echo")
    async with served() as (_, registry), asyncio.timeout(20):
        events = registry.watch()
        assert (await anext(events)).event == "reset"
        assert await registry.find() == []
        receipt = await echo.register(registry)
        joined = await anext(events)
        assert joined.event == "joined"
        assert joined.agent is not None
        assert (joined.agent.id, joined.agent.verified) == ("echo", True)
        assert [found.id for found in await registry.find()] == ["echo"]  # the old answer counts no more
        await registry.register(echo.card(description="New."), echo.place, key=echo.key)
        assert (await anext(events)).event == "changed"
        await registry.heartbeat(receipt.key, key=echo.key)  # tells nothing new
        await registry.deregister(receipt.key, key=echo.key)
        left = await anext(events)
        assert left.event == "left"
        await events.aclose()
        again = registry.watch(after=joined.id)
        assert [(await anext(again)).event for _ in range(2)] == ["changed", "left"]
        await again.aclose()


@pytest.mark.parametrize("after", ["other-3", "x", "-", "é", "0-99999999999999999999"])
async def test_a_place_that_is_not_known_is_a_reset(after: str) -> None:
    async with served() as (_, registry), asyncio.timeout(20):
        await Agent("echo").register(registry)
        events = registry.watch(after=after.encode("ascii", "replace").decode())
        assert (await anext(events)).event == "reset"
        await events.aclose()


async def test_who_was_away_for_long_is_told_to_ask_anew() -> None:
    async with served() as (app, registry), asyncio.timeout(30):
        events = registry.watch()
        first = await anext(events)
        await events.aclose()
        changes = app._registrar.changes  # pyright: ignore[reportPrivateUsage]
        for number in range(5000):
            changes.add("changed", {"number": number})
        events = registry.watch(after=first.id)
        assert (await anext(events)).event == "reset"
        await events.aclose()


async def test_a_watcher_that_never_reads_is_let_go_and_hinders_nobody() -> None:
    async with served(limits=RegistryLimits(patience=0.2)) as (app, registry), asyncio.timeout(30):
        address = urlsplit(registry.url)
        with socket.socket() as sleeper:
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sleeper.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sleeper, (address.hostname, address.port))
            await loop.sock_sendall(sleeper, b"GET /v1/watch HTTP/1.1\r\nHost: registry\r\n\r\n")
            await eventually(lambda: app.watchers == 1)
            changes = app._registrar.changes  # pyright: ignore[reportPrivateUsage]
            while app.watchers:
                changes.add("changed", {"padding": "x" * 100_000})
                await asyncio.sleep(0)
            await Agent("echo").register(registry)
            assert [found.id for found in await registry.find()] == ["echo"]


async def test_so_many_may_watch_and_no_more() -> None:
    async with served(limits=RegistryLimits(max_watchers=2)) as (app, registry), asyncio.timeout(20):
        watchers = [registry.watch() for _ in range(2)]
        for watcher in watchers:
            await anext(watcher)
        with pytest.raises(TransportError, match="429"):
            await anext(registry.watch())
        for watcher in watchers:
            await watcher.aclose()
        await eventually(lambda: app.watchers == 0)
        events = registry.watch()
        await anext(events)
        await events.aclose()


async def test_a_registry_that_ends_ends_its_streams() -> None:
    async with served() as (app, registry), asyncio.timeout(20):
        events = registry.watch()
        await anext(events)
        app.end_streams()
        with suppress(TransportError, StopAsyncIteration):
            await anext(events)
            pytest.fail("the stream goes on")
