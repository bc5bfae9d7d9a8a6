"""A server in the background, on a port of this machine that was free."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from codin.agent._adapt import is_asgi
from codin.errors import ConfigError
from codin.server import App

__all__ = ["serving"]


@asynccontextmanager
async def serving(*targets: object, **options: Any) -> AsyncGenerator[str]:
    """Serve while the block runs; gives the URL.

        async with serving(my_agent) as url, codin.connect(url) as peer:
            ...

    In a program of its own an agent is served by `codin.serve(my_agent)`, or by `codin serve file.py`.

    Args:
        targets: agents, or one ASGI application, such as an `App` or a FastAPI application.
        options: for the `App` that is made of agents.

    Raises:
        ConfigError: there is nothing to serve, or it did not start.
    """
    ready = len(targets) == 1 and not options and _is_application(targets[0])
    app: Any = targets[0] if ready else App(*targets, **options)
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves TCP_NODELAY off
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, log_level="warning", timeout_graceful_shutdown=5, proxy_headers=False)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.listening()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if isinstance(app, App):
            await app.drain()  # uvicorn waits for open streams, and they end by this
        server.should_exit = True
        await running
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves the signals to the program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # its way to say that the application did not start
            self.should_exit = True
        self._ready.set()

    async def listening(self) -> None:
        """Wait until it listens."""
        await self._ready.wait()
        if self.should_exit:
            raise ConfigError("the application did not start", hint="its log says why")


def _is_application(target: Any) -> bool:
    """Whether it is an ASGI application, and no agent or function that is served by one."""
    return isinstance(target, (App, Starlette)) or is_asgi(target)
