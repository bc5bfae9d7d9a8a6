"""`codin.serve`: agents on a port, until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from codin.errors import ConfigError
from codin.server._app import App
from codin.server._auth import Authenticator, BearerTokens
from codin.server._limits import ServerLimits
from codin.task import Guard, Limits, TaskStore

__all__ = ["serve"]

_logger = logging.getLogger("codin.server")

_GRACE = 10
"""Seconds after which uvicorn stops waiting for connections; by then all streams have ended or have been cut."""


def serve(
    *agents: object,
    host: str = "127.0.0.1",
    port: int = 8000,
    store: TaskStore | str = "memory://",
    public_url: str | None = None,
    trusted_proxies: Collection[str] = (),
    token_file: str | Path | None = None,
    authenticator: Authenticator | None = None,
    guards: Sequence[Guard] = (),
    limits: Limits | None = None,
    server_limits: ServerLimits | None = None,
    log_level: str = "warning",
) -> None:
    """Serve agents, functions or framework objects as A2A agents. Blocks until SIGINT or SIGTERM.

    Args:
        agents: one is served at `/`; several each at `/{id}`.
        host: an address that is not loopback opens the agents to others; without tokens that is warned about.
        port: 0 takes a free one, and prints it.
        store: `memory://`, `sqlite:///file.db`, or a `TaskStore`.
        public_url: the URL under which the outside reaches the server, for the card.
        token_file: a file with `caller-id token` lines; then every request needs a bearer token.
        log_level: of uvicorn.

    The other arguments are those of `App`.

    Raises:
        ConfigError: something cannot be served, or the port is taken.
    """
    if token_file is not None:
        if authenticator is not None:
            raise ConfigError("token_file and authenticator exclude each other")
        authenticator = BearerTokens.from_file(token_file)
    app = App(
        *agents,
        store=store,
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        authenticator=authenticator,
        guards=guards,
        limits=limits,
        server_limits=server_limits,
    )
    if authenticator is None and not _loopback(host):
        _logger.warning(
            "serving on %s without tokens: whoever reaches the port may use the agents and read all tasks; "
            "give --token-file, or serve on 127.0.0.1",
            host,
        )
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_level=log_level,
        access_log=False,
        proxy_headers=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    base = (public_url or address).rstrip("/")
    greeting = "".join(
        f"{endpoint.agent.name} serves A2A at {base}{place}/\n"
        for place, endpoint in zip(app.places, app.endpoints, strict=True)
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again after its shutdown
        _Server(config, app, greeting).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another --port; 0 takes a free one",
        ) from error
    return listener


def _calm_collector() -> None:
    """Collect garbage seldom: what is imported stays, and a request leaves no cycles behind.

    With the interpreter's defaults every 700 new objects are a reason to look, and the requests in flight are looked at
    again and again while they still live. This process is ours; `App` alone leaves the collector as it is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """uvicorn, with the drain beginning at the signal: it waits for open streams, and they end only by draining.

    A second signal does not wait for anything: what a durable store has acknowledged survives that.
    """

    def __init__(self, config: uvicorn.Config, app: App, greeting: str) -> None:
        super().__init__(config)
        self._app = app
        self._greeting = greeting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = False
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        _calm_collector()
        sys.stdout.write(self._greeting)  # now it listens: whoever reads this may call
        sys.stdout.flush()

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
        self._drain = asyncio.get_running_loop().create_task(self._app.drain())
        self._drain.add_done_callback(lambda _: super(_Server, self).handle_exit(sig, frame))
