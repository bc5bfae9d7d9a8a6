"""Serve agents over A2A: an ASGI application, and the one call that runs it."""

from typing import TYPE_CHECKING

from codin.server._app import App
from codin.server._auth import Authenticator, BearerTokens
from codin.server._card import RESUME, agent_card
from codin.server._limits import ServerLimits

if TYPE_CHECKING:
    from codin.server._serve import serve

__all__ = ["RESUME", "App", "Authenticator", "BearerTokens", "ServerLimits", "agent_card", "serve"]


def __getattr__(name: str) -> object:
    if name == "serve":  # uvicorn is loaded by those who run a server
        from codin.server._serve import serve

        return serve
    raise AttributeError(f"module 'codin.server' has no attribute {name!r}")
