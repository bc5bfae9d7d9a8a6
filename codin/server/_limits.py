"""The bounds of a server, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KEPT_OPEN", "ServerLimits"]

KEPT_OPEN = 65
"""Seconds that a connection may be idle: longer than with any client or usual proxy, so that it is they who close it.

A request that crosses with the server's closing is lost, and nobody may send it again by himself.
"""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Times are seconds.

    Args:
        max_body: bytes of a request body; a larger one is refused before it is read to its end.
        max_depth: levels of nesting in a body.
        max_values: values in a body, each object, array, text or number; they are counted before they take memory.
        max_parts: parts of one message.
        max_references: tasks that one message refers to.
        max_batch: calls in one JSON-RPC batch.
        max_streams: streams that are open at once.
        keep_alive: a stream that has been silent that long gets a comment.
        send_timeout: a reader that takes no byte for that long is cut off; the task goes on.
    """

    max_body: int = 16 * 1024 * 1024
    max_depth: int = 100
    max_values: int = 250_000
    max_parts: int = 256
    max_references: int = 64
    max_batch: int = 32
    max_streams: int = 20_000
    keep_alive: float = 15.0
    send_timeout: float = 30.0
