"""Servers in the background."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

import codin
from codin.a2a import Unauthenticated
from codin.agent import agent
from codin.errors import ConfigError, ConnectError
from codin.server import App
from codin.task import Limits, Task
from codin.testing import serving
from codin.trust import BearerTokens

pytestmark = pytest.mark.anyio


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it softly."""
    return text.lower()


def louder(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize("target", [shout, App(shout), louder], ids=["agent", "app", "function"])
async def test_it_serves_agents_and_apps(target: Any) -> None:
    async with serving(target) as url, codin.connect(url) as peer:
        assert (await peer.send("hello")).text == "HELLO"


async def test_it_serves_several_agents_with_options() -> None:
    callers = BearerTokens({"token-a": "ann"})
    served = serving(shout, whisper, authenticator=callers)
    async with served as url, codin.connect(f"{url}/whisper", token="token-a") as peer:
        assert (await peer.send("HELLO")).text == "hello"
        with pytest.raises(Unauthenticated):
            async with codin.connect(f"{url}/shout") as stranger:
                await stranger.send("hello")


async def test_it_serves_a_mounted_app() -> None:
    app = App(shout)
    outer = FastAPI(lifespan=app.lifespan)
    outer.mount("/agents/shout", app)
    async with serving(outer) as url, codin.connect(f"{url}/agents/shout") as peer:
        assert (await peer.send("hello")).text == "HELLO"


async def test_it_serves_a_bare_asgi_application() -> None:
    app = App(shout)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    async with serving(outer) as url, codin.connect(url) as peer:
        assert (await peer.send("hello")).text == "HELLO"


async def test_the_end_of_the_block_ends_it_with_its_streams() -> None:
    begun = asyncio.Event()

    @agent
    async def wait(text: str, task: Task) -> None:
        """Begin, and wait."""
        await task.write("begun")
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        async with serving(wait, limits=Limits(drain=0.1)) as url, codin.connect(url) as peer:
            await anext(peer.stream("go"))
            await begun.wait()
        with pytest.raises(ConnectError):
            async with codin.connect(url) as peer:
                await peer.send("anybody there?")


async def test_signals_stay_with_the_program() -> None:
    before = signal.getsignal(signal.SIGINT)
    async with serving(shout):
        assert signal.getsignal(signal.SIGINT) is before


async def test_an_application_that_does_not_start_is_said(caplog: Any) -> None:
    @asynccontextmanager
    async def broken(app: Any) -> AsyncGenerator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(ConfigError, match="did not start"):
        async with serving(FastAPI(lifespan=broken)):
            pass
    assert "no database" in caplog.text
