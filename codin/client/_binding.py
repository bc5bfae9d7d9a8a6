"""What a binding of the protocol does for the client: one request out, one answer or stream in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

from codin import a2a
from codin.client._fold import StreamValue

__all__ = ["Arrival", "Binding", "Outgoing"]

T = TypeVar("T", bound=a2a.Model)

Arrival = tuple[StreamValue, int | None]
"""The object in an event of a stream, and the number of the event where the peer gives one."""


class Outgoing(NamedTuple):
    """A request as one binding sends it; sending it again sends the same bytes.

    `content` is the binding's own: nobody else looks into it. The headers are the service parameters of the request,
    however the binding carries them. Spec 3.2.6.
    """

    content: Any
    headers: Mapping[str, str]


class Binding(Protocol):
    """Speaks with one interface of a peer. It tries once; trying again is the business of the `Line`.

    Both kinds of calls raise an `A2AError` for what the peer refuses, `BadResponse` for what is no answer of this
    binding, `ConnectError` when nobody was reached, and another `TransportError` when the answer was lost.
    """

    @property
    def url(self) -> str:
        """Of the interface, for errors and traces."""
        ...

    def prepare(
        self, method: str, params: dict[str, Any], headers: Mapping[str, str] | None, *, stream: bool
    ) -> Outgoing:
        """Make the bytes and headers of a request.

        Args:
            method: the operation, by its name in `a2a.METHODS`.
            params: the JSON object of its request, with the tenant; the binding may keep and change it.

        Raises:
            ConfigError: the parameters are not JSON.
        """
        ...

    async def call(self, request: Outgoing, result: type[T], *, timeout: float | None) -> T:
        """Send, and read the result. An operation that answers nothing gives the empty `result`.

        Args:
            timeout: seconds for all of it.
        """
        ...

    def open(self, request: Outgoing, timeout: float | None) -> AbstractAsyncContextManager[AsyncIterator[Arrival]]:
        """Send, and hand over the events while they arrive. Entering it raises what the peer answers instead.

        Args:
            timeout: seconds of silence at most.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what this binding alone has opened; the transport is not its own."""
        ...
