"""Choosing a transport."""

from __future__ import annotations

import asyncio
import sys

import httpx
import pytest

from codin.errors import ConfigError
from codin.net import AiohttpTransport, HttpxTransport, open_transport

pytestmark = pytest.mark.anyio


async def test_httpx_is_the_default_and_the_environment_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_TRANSPORT", raising=False)
    assert isinstance(open_transport(), HttpxTransport)
    monkeypatch.setenv("CODIN_TRANSPORT", "aiohttp")
    assert isinstance(open_transport(), AiohttpTransport)
    assert isinstance(open_transport("httpx"), HttpxTransport)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ConfigError, match="'carrier pigeon'"):
        open_transport("carrier pigeon")


def test_without_aiohttp_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "codin.net._aiohttp", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=r"codin\[fast\]"):
        open_transport("aiohttp")


async def test_a_client_that_was_handed_in_counts_and_stays_open() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=request.headers["x-mine"].encode())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), headers={"X-Mine": "kept"}) as client:
        transport = HttpxTransport(client)
        for _ in range(2):
            response = await transport.request("GET", "http://peer.test/", headers={}, timeout=1)
            assert response.body == b"kept"
            await transport.aclose()
        assert not client.is_closed


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nproxy")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for transport in map(open_transport, ("httpx", "aiohttp", "asyncio")):
            headers = {"Authorization": "Bearer secret"}
            response = await transport.request("GET", "http://agents.example/", headers=headers, timeout=5)
            await transport.aclose()
            assert response.body == b"proxy"
    assert [line.split(b"\r\n")[0] for line in asked] == [b"GET http://agents.example/ HTTP/1.1"] * 3
