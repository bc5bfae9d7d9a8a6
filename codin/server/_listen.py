"""A port of this machine, before a server has it."""

from __future__ import annotations

import errno
import socket

from codin.errors import ConfigError

__all__ = ["listen", "reachable"]


def reachable(host: str) -> str:
    """A host that a client can use: the address that stands for all of them is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound. Raises ConfigError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # With the protocol: asyncio sets TCP_NODELAY on connections of what it knows to be TCP, and on no others.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        # Without what led to it: in a program of its own this is the last thing a person reads.
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", hint=_listen_hint(error)
        ) from None
    return listener


def _listen_hint(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "--host is an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them"
    if error.errno == errno.EACCES:
        return "choose another --port; those below 1024 may be reserved for the system"
    return "choose another --port; 0 takes a free one"
