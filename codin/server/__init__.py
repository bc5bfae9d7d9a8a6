"""Serve agents over A2A: an ASGI application, and the one call that runs it."""

from importlib import import_module
from typing import TYPE_CHECKING

from codin.server._app import App
from codin.server._card import RESUME, agent_card
from codin.server._limits import ServerLimits
from codin.server._logs import log_lines

if TYPE_CHECKING:
    from codin.server._serve import serve
    from codin.server._serve_registry import serve_registry

__all__ = ["RESUME", "App", "ServerLimits", "agent_card", "log_lines", "serve", "serve_registry"]

# uvicorn is loaded by those who run a server
_LAZY = {"serve": "codin.server._serve", "serve_registry": "codin.server._serve_registry"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'codin.server' has no attribute {name!r}")
