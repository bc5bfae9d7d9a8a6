"""A registry on a port, until a signal says stop."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from codin.errors import ConfigError
from codin.mesh.registry import RegistryApp, RegistryLimits, RegistryStore
from codin.mesh.registry._meaning import Embed
from codin.net import is_loopback
from codin.server._limits import KEPT_OPEN
from codin.server._listen import listen, reachable
from codin.trust import Authenticator, BearerTokens, KeyRing

__all__ = ["serve_registry"]

_logger = logging.getLogger("codin.server")


def serve_registry(
    *,
    host: str = "127.0.0.1",
    port: int = 7000,
    store: RegistryStore | str = "memory://",
    public_url: str | None = None,
    token_file: str | Path | None = None,
    authenticator: Authenticator | None = None,
    allow_unsigned: bool = False,
    keys: KeyRing | None = None,
    probe: float | None = 30.0,
    embed: Embed | None = None,
    limits: RegistryLimits | None = None,
    log_level: str = "warning",
) -> None:
    """Serve a registry. Blocks until SIGINT or SIGTERM.

    Args:
        port: 0 takes a free one, and prints it.
        token_file: a file with `caller-id token` lines; then every request needs a bearer token.
        log_level: of uvicorn.

    The other arguments are those of `RegistryApp`.

    Raises:
        ConfigError: the port is taken, or a setting is wrong.
    """
    if token_file is not None:
        if authenticator is not None:
            raise ConfigError("token_file and authenticator exclude each other")
        authenticator = BearerTokens.from_file(token_file)
    if authenticator is None and not is_loopback(host):
        _logger.warning(
            "a registry on %s without tokens: whoever reaches the port sees every agent, and may register; "
            "give --token-file, or serve on 127.0.0.1",
            host,
        )
    listener = listen(host, port)
    base = (public_url or f"http://{reachable(host)}:{listener.getsockname()[1]}").rstrip("/")
    everywhere = host in {"0.0.0.0", "::", ""}  # agents reach it by an address that is not known here
    app = RegistryApp(
        store,
        public_url=base if public_url is not None or not everywhere else None,
        authenticator=authenticator,
        allow_unsigned=allow_unsigned,
        keys=keys,
        probe=probe,
        embed=embed,
        limits=limits,
    )
    config = uvicorn.Config(
        app,
        log_level=log_level,
        access_log=False,
        proxy_headers=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=KEPT_OPEN,
    )
    with listener, contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again after its shutdown
        _Server(config, app, f"registry at {base}\n").run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, whose streams end at the signal: it waits for them."""

    def __init__(self, config: uvicorn.Config, app: RegistryApp, greeting: str) -> None:
        super().__init__(config)
        self._app = app
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.start()  # here a store that cannot be opened is an error, in the lifespan it is a log
        await super().startup(sockets)
        sys.stdout.write(self._greeting)
        sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._app.end_streams()
