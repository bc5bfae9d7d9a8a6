"""`codin.serve`: agents on a port, until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codin.errors import ConfigError
from codin.net import is_loopback
from codin.server._app import App
from codin.server._bindings import BINDINGS
from codin.server._extended import ExtendCard
from codin.server._hsts import YEAR
from codin.server._limits import ServerLimits
from codin.server._listen import listen, reachable
from codin.server._neighbours import Neighbourhood
from codin.server._presence import Presence
from codin.task import Guard, Limits, PushPolicy, Resolver, TaskStore
from codin.tool import Sandboxing
from codin.trust import Access, Authenticator, BearerTokens, KeyRing, SigningKey, TrustStore

if TYPE_CHECKING:
    from codin.memory import Memories
    from codin.mesh.registry import Registry

__all__ = ["serve"]

_logger = logging.getLogger("codin.server")


def serve(
    *agents: object,
    host: str = "127.0.0.1",
    port: int = 8000,
    store: TaskStore | str = "memory://",
    public_url: str | None = None,
    trusted_proxies: Collection[str] = (),
    token_file: str | Path | None = None,
    authenticator: Authenticator | None = None,
    access: Access | None = None,
    trust: TrustStore | None = None,
    anonymous: bool | None = None,
    keys: KeyRing | SigningKey | str | Path | bool = True,
    guards: Sequence[Guard] = (),
    resolver: Resolver | None = None,
    push: PushPolicy | bool = True,
    extended_card: ExtendCard | None = None,
    bindings: Sequence[str] = BINDINGS,
    versions: Collection[str] = ("1.0", "0.3"),
    grpc_port: int | None = None,
    grpc_address: str | None = None,
    grpc_tls: tuple[str | Path, str | Path] | None = None,
    hsts: int = YEAR,
    limits: Limits | None = None,
    server_limits: ServerLimits | None = None,
    memory: Memories | str | None = None,
    tool_sandbox: Mapping[str, Sandboxing] | None = None,
    registry: Registry | str | None = None,
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
        keys: sign the cards: a ring, a key, or where they are. By default those that `KeyRing.find` finds, and none
            when there are none; False signs nothing.
        trust: whose call tokens are taken; by default the store beside the keys.
        registry: where the agents are found, and find others: its URL, or a client of it, for a token. By default
            the one that `CODIN_REGISTRY` names. Programs of this user on this machine find the agents in any case.
        log_level: of uvicorn.

    The other arguments are those of `App`.

    Raises:
        ConfigError: something cannot be served, the port is taken, or an event loop is running here already.
        StoreError: the store cannot be opened.
    """
    if _in_event_loop():
        raise ConfigError(
            "codin.serve blocks, and an event loop is running here",
            hint="call it outside of coroutines, or await uvicorn.Server(uvicorn.Config(App(…))).serve()",
        )
    if public_url is not None and not re.match(r"https?://[^/]", public_url):
        raise ConfigError(f"the public URL {public_url!r} is none", hint="write it like https://agents.example.com")
    if token_file is not None:
        if authenticator is not None:
            raise ConfigError("token_file and authenticator exclude each other")
        authenticator = BearerTokens.from_file(token_file)
    ring = _ring(keys)
    found_by = _registry(registry)
    trust = trust or (TrustStore.default() if ring is not None else None)
    neighbours = Neighbourhood(ring, trust, found_by)
    app = App(
        *agents,
        store=store,
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        authenticator=authenticator,
        access=access,
        trust=trust,
        anonymous=anonymous,
        keys=ring,
        guards=guards,
        resolver=resolver or neighbours,
        push=push,
        bindings=bindings,
        versions=versions,
        extended_card=extended_card,
        grpc_port=grpc_port,
        grpc_host=host,
        grpc_address=grpc_address,
        grpc_tls=grpc_tls,
        hsts=hsts,
        limits=limits,
        server_limits=server_limits,
        memory=memory,
        tool_sandbox=tool_sandbox,
    )
    if authenticator is None and access is None and anonymous is not False:
        _warn_of_openness(host)
    listener = listen(host, port)
    local = f"http://{reachable(host)}:{listener.getsockname()[1]}"
    base = (public_url or local).rstrip("/")
    if app.grpc is not None:
        app.grpc.base = base
    with listener, contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again after its shutdown
        from codin.server._process import Process  # with uvicorn, which takes a while to load

        presence = Presence(app, base, local, ring, found_by)
        Process(app, _greeting(app, base), presence, neighbours, log_level).run(sockets=[listener])


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _ring(keys: KeyRing | SigningKey | str | Path | bool) -> KeyRing | None:
    if isinstance(keys, bool):
        return KeyRing.find() if keys else None
    if isinstance(keys, SigningKey):
        return KeyRing.of(keys)
    return KeyRing.open(keys) if isinstance(keys, str | Path) else keys


def _registry(named: Registry | str | None) -> Registry | None:
    if not isinstance(named, str | None):
        return named
    if not (named or os.environ.get("CODIN_REGISTRY")):
        return None
    from codin.mesh.registry import Registry  # who is in no registry loads none

    return Registry.of_environment(url=named)


def _warn_of_openness(host: str) -> None:
    if not is_loopback(host):
        _logger.warning(
            "serving on %s without tokens: whoever reaches the port may use the agents and read all tasks; "
            "give --token-file, or serve on 127.0.0.1",
            host,
        )


def _greeting(app: App, base: str) -> str:
    return "".join(
        f"{endpoint.agent.name} serves A2A at {base}{place}/\n"
        for place, endpoint in zip(app.places, app.endpoints, strict=True)
    )
