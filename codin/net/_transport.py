"""The one place where a transport is chosen."""

from __future__ import annotations

import os
from importlib import import_module

from codin.errors import ConfigError
from codin.net._guard import AddressGuard
from codin.net._protocol import Transport

__all__ = ["open_transport"]

# Heavy imports; a program pays only for the one it uses.
_CLASSES = {
    "httpx": ("codin.net._httpx", "HttpxTransport"),
    "asyncio": ("codin.net._asyncio", "AsyncioTransport"),
}


def open_transport(name: str | None = None, *, guard: AddressGuard | None = None) -> Transport:
    """Make a transport.

    Args:
        name: "httpx" (the default) or "asyncio" (a fraction of its CPU time a call; asyncio and HTTP/1.1 only; needs
            `pip install 'codin[fast]'`). None asks the environment variable `CODIN_TRANSPORT`.
        guard: says which addresses may be called; without one, every address may.

    Raises:
        ConfigError: there is no such transport, or its package is missing.
    """
    chosen = name or os.environ.get("CODIN_TRANSPORT") or "httpx"
    if chosen not in _CLASSES:
        raise ConfigError(f"There is no transport {chosen!r}.", hint=f"Choose one of {', '.join(_CLASSES)}.")
    module, cls = _CLASSES[chosen]
    try:
        return getattr(import_module(module), cls)(guard=guard)
    except ImportError as error:
        raise ConfigError(
            f"The transport {chosen!r} lacks a package: {error}", hint="pip install 'codin[fast]'"
        ) from error
