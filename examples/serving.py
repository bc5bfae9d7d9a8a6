"""Serve agents on a free port while a block runs. Every example here uses it, so that it has somebody to call.

    async with serving(App(my_agent)) as url, codin.connect(url) as peer:
        ...

In a program of its own an agent is served by `codin.serve(my_agent)`, or by `codin serve file.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Run an ASGI application; gives its URL.

    The socket listens before the server starts, so the first request waits for it instead of being refused.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
