"""What the rest of the library asks of an HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

__all__ = ["MAX_BODY", "Response", "StreamingResponse", "Transport"]

MAX_BODY = 64 * 1024 * 1024
"""The bytes a transport reads of one answer unless it is told otherwise."""


class Response(NamedTuple):
    """An answer that was read to its end.

    `headers` finds a name in lower case, whatever case the peer wrote it in.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamingResponse(Protocol):
    """An answer whose body is still to come.

    `chunks` yields the bytes as they arrive and is read once. A connection that is lost on the way raises
    `TransportError`, silence beyond the timeout `DeadlineExceeded`.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def chunks(self) -> AsyncIterator[bytes]: ...

    async def read(self, limit: int | None = None) -> bytes:
        """Read the rest of the body, of at most `limit` bytes."""
        ...


class Transport(Protocol):
    """Sends one HTTP request and bounds what may come back.

    Redirects are answers like any other, cookies are not kept, and bodies are asked for as they are (no
    compression), so that a small answer cannot become a large one here.

    Raises:
        ConnectError: nobody could be reached; nothing was sent.
        DeadlineExceeded: `timeout` passed.
        ResponseTooLarge: the body is longer than the limit.
        TransportError: the connection was lost; whether the peer acted is unknown.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        """Send, and read the answer to its end.

        Args:
            timeout: seconds for all of it.
            limit: bytes of the body at most; None is the transport's own bound.
        """
        ...

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Send, and hand over the answer while it arrives.

        Args:
            timeout: seconds of silence at most, while connecting and between any two arrivals of bytes.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
