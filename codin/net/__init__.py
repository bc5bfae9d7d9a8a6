"""HTTP towards other people's machines: bounded in size and time, never following a redirect."""

from importlib import import_module
from typing import TYPE_CHECKING

from codin.net._guard import AddressGuard, Resolve
from codin.net._protocol import MAX_BODY, Response, StreamingResponse, Transport
from codin.net._proxy import is_loopback
from codin.net._transport import open_transport

if TYPE_CHECKING:
    from codin.net._asyncio import AsyncioTransport
    from codin.net._httpx import HttpxTransport
    from codin.net._memory import MemoryTransport

__all__ = [
    "MAX_BODY",
    "AddressGuard",
    "AsyncioTransport",
    "HttpxTransport",
    "MemoryTransport",
    "Resolve",
    "Response",
    "StreamingResponse",
    "Transport",
    "is_loopback",
    "open_transport",
]


_LAZY = {
    "AsyncioTransport": "codin.net._asyncio",
    "HttpxTransport": "codin.net._httpx",
    "MemoryTransport": "codin.net._memory",
}


def __getattr__(name: str) -> object:
    # The HTTP clients are heavy imports; a program pays only for the one it uses.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
