"""The process that serves agents: from the first request to the last answer after a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from codin.server._app import App
from codin.server._limits import KEPT_OPEN
from codin.server._neighbours import Neighbourhood
from codin.server._presence import Presence
from codin.server._stream import LAST_WORDS

__all__ = ["Process"]

_GRACE = 10
"""Seconds after which uvicorn stops waiting for connections; by then all streams have ended or have been cut."""


class Process(uvicorn.Server):
    """uvicorn, with the drain beginning at the signal: it waits for open streams, and they end only by draining.

    A second signal does not wait for anything: what a durable store has acknowledged survives that.
    """

    def __init__(
        self,
        app: App,
        greeting: str,
        presence: Presence,
        neighbours: Neighbourhood,
        log_level: str,
    ) -> None:
        super().__init__(_config(app, log_level))
        self._app = app
        self._greeting = greeting
        self._presence = presence
        self._neighbours = neighbours
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = False
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app.start()  # here a store that cannot be opened is an error, in the lifespan it is a log
        await super().startup(sockets)
        _calm_collector()
        self._presence.enter()
        if self._app.grpc is not None:
            self._greeting += f"and over gRPC at {self._app.grpc.address}\n"
        sys.stdout.write(self._greeting)  # now it listens: whoever reads this may call
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._presence.leave()
        asyncio.get_running_loop().call_later(LAST_WORDS, self._let_go)
        await super().shutdown(sockets)
        await self._neighbours.aclose()

    def _let_go(self) -> None:
        """Drop who has the whole answer but for what it does not take: closed properly, it would be waited for."""
        for connection in tuple(self.server_state.connections):
            if connection.transport.is_closing():
                connection.transport.abort()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None:
            super().handle_exit(sig, frame)
        elif not self._leaving:
            self._leaving = True
            self._loop.call_soon_threadsafe(self._begin_exit, sig, frame)
        else:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    def _begin_exit(self, sig: int, frame: FrameType | None) -> None:
        waits = sum(endpoint.manager.running for endpoint in self._app.endpoints)
        if waits and sys.stderr.isatty():
            again = "; Ctrl-C again leaves at once" if sig == signal.SIGINT else ""
            sys.stderr.write(f"waiting for {waits} {'task' if waits == 1 else 'tasks'}{again}\n")
            sys.stderr.flush()
        self._drain = asyncio.get_running_loop().create_task(self._go())
        self._drain.add_done_callback(lambda _: super(Process, self).handle_exit(sig, frame))

    async def _go(self) -> None:
        """Be found no more, and finish what is running."""
        await asyncio.gather(self._presence.leave(), self._app.drain())


def _config(app: App, log_level: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level=log_level,
        log_config=None if logging.getLogger().hasHandlers() else LOGGING_CONFIG,  # the program's own lines, if any
        access_log=False,
        proxy_headers=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=KEPT_OPEN,
        timeout_graceful_shutdown=_GRACE,
    )


def _calm_collector() -> None:
    """Collect garbage seldom: what is imported stays, and a request leaves no cycles behind.

    With the interpreter's defaults every 700 new objects are a reason to look, and the requests in flight are looked at
    again and again while they still live. This process is ours; `App` alone leaves the collector as it is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
