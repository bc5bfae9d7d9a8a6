"""Ports for servers that keep theirs when they start again."""

from __future__ import annotations

import socket
from pathlib import Path
from random import SystemRandom

__all__ = ["free_port"]

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LENT = 32_768  # the first port that is lent where nobody says which
_LOWEST, _TRIES = 20_000, 100


def free_port(host: str, wanted: int = 0) -> int:
    """A port of a host that nobody listens on: the wanted one when it is free. 0 when the host can have none.

    It is none that the system lends to clients, of which one would have it while its server starts again.
    """
    kept = _kept()
    tried = SystemRandom().sample(kept, min(_TRIES, len(kept)))
    return next((port for each in (*([wanted] if wanted else ()), *tried, 0) if (port := _bound(host, each))), 0)


def _kept() -> range:
    try:
        lent = int(_RANGE.read_text().split()[0])
    except OSError:
        lent = _LENT
    return range(min(_LOWEST, lent), lent)


def _bound(host: str, port: int) -> int:
    """The port that a server would have there, 0 for none."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return 0
        bound: int = listener.getsockname()[1]
        return bound
