"""The one place where a transport is chosen."""

from __future__ import annotations

import os

from codin.errors import ConfigError
from codin.net._protocol import Transport

__all__ = ["open_transport"]


def open_transport(name: str | None = None) -> Transport:
    """Make a transport.

    Args:
        name: "httpx" (the default) or "aiohttp" (less than half the CPU time a call; asyncio only; `pip install
            'codin[fast]'`). None asks the environment variable `CODIN_TRANSPORT`.

    Raises:
        ConfigError: there is no such transport, or its package is missing.
    """
    chosen = name or os.environ.get("CODIN_TRANSPORT") or "httpx"
    if chosen == "httpx":
        from codin.net._httpx import HttpxTransport

        return HttpxTransport()
    if chosen == "aiohttp":
        try:
            from codin.net._aiohttp import AiohttpTransport
        except ImportError as error:
            raise ConfigError(
                "The transport 'aiohttp' needs the package aiohttp.", hint="pip install 'codin[fast]'"
            ) from error
        return AiohttpTransport()
    raise ConfigError(f"There is no transport {chosen!r}.", hint="Choose 'httpx' or 'aiohttp'.")
