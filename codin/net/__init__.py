"""HTTP towards other people's machines: bounded in size and time, never following a redirect."""

from typing import TYPE_CHECKING

from codin.net._protocol import MAX_BODY, Response, StreamingResponse, Transport
from codin.net._transport import open_transport

if TYPE_CHECKING:
    from codin.net._aiohttp import AiohttpTransport
    from codin.net._httpx import HttpxTransport

__all__ = [
    "MAX_BODY",
    "AiohttpTransport",
    "HttpxTransport",
    "Response",
    "StreamingResponse",
    "Transport",
    "open_transport",
]


def __getattr__(name: str) -> object:
    # Both HTTP clients are heavy imports; a program pays only for the one it uses.
    if name == "HttpxTransport":
        from codin.net._httpx import HttpxTransport

        return HttpxTransport
    if name == "AiohttpTransport":
        from codin.net._aiohttp import AiohttpTransport

        return AiohttpTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
