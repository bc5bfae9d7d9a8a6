"""The line to a peer: what every call needs, whichever binding carries it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import anyio

from codin import a2a
from codin.client._backoff import Backoff, may_pass
from codin.client._binding import Arrival, Binding, Outgoing
from codin.client._proof import Proof
from codin.errors import ConnectError, TransportError
from codin.telemetry import TRAIL, onward, open_spans

__all__ = ["Call", "Line", "Way"]

T = TypeVar("T", bound=a2a.Model)

_NEVER = float("inf")
_SYSTEMS = {"GRPC": "grpc", "HTTP+JSON": "http_json"}  # kinds of RPC, for traces


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One interface of the peer, and the binding that speaks with it.

    Args:
        interface: its tenant goes into every request. Spec 8.3.2.
        proof: of who calls, for every request.
    """

    interface: a2a.AgentInterface
    binding: Binding
    proof: Proof | None = None


class Call(NamedTuple):
    """What is asked of the peer, and how it goes out on the way it was made for."""

    method: str
    params: Mapping[str, Any]
    headers: Mapping[str, str] | None
    stream: bool
    way: Way
    request: Outgoing


class Line:
    """Calls the operations of a peer.

    Args:
        ways: the interfaces to call, the preferred one first; the next one is tried when nobody is reached.
        resumable: the peer's card declares our resume extension: events are numbered, idempotency keys honoured.
        name: of the peer, for traces.
    """

    def __init__(
        self, ways: Sequence[Way], *, resumable: bool = False, backoff: Backoff | None = None, name: str = ""
    ) -> None:
        self._spans = open_spans()
        self._ways = [*ways]
        self._name = name
        self.resumable = resumable
        self.backoff = backoff or Backoff()

    @property
    def interface(self) -> a2a.AgentInterface:
        """The one that is called."""
        return self._ways[0].interface

    @property
    def url(self) -> str:
        """Of that interface."""
        return self._ways[0].binding.url

    def prepare(
        self, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None, *, stream: bool = False
    ) -> Call:
        """Make a call.

        Args:
            params: the JSON object; what is None is left out, and the interface's tenant is added.

        Raises:
            ConfigError: the parameters are not JSON.
        """
        way = self._ways[0]
        return Call(method, params, headers, stream, way, _encode(way, method, params, headers, stream))

    async def call(self, call: Call, result: type[T], *, timeout: float | None, again: bool = False) -> T:
        """Send, and read the result.

        Args:
            timeout: seconds for all of it.
            again: the call may safely be repeated when its answer was lost.

        Raises:
            ConnectError: no try has reached the peer.
        """
        if self._spans is None and TRAIL.get() is None:
            return await self._call(call, result, timeout, {}, again=again)
        with self._onward(call) as told:
            return await self._call(call, result, timeout, told, again=again)

    @contextmanager
    def _onward(self, call: Call) -> Generator[Mapping[str, str]]:
        """The headers of what the call is a consequence of, in a span of its own where spans are made."""
        if self._spans is None:
            yield onward()
            return
        place = urlsplit(self.url)
        system = _SYSTEMS.get(self.interface.protocol_binding, "jsonrpc")
        with self._spans.call(call.method, self._name, place.hostname or "", place.port, system) as traced:
            yield {**onward(), **traced}

    async def _call(
        self, call: Call, result: type[T], timeout: float | None, told: Mapping[str, str], *, again: bool
    ) -> T:
        deadline = _NEVER if timeout is None else monotonic() + timeout
        if not again:
            return await self._once(call, result, deadline, told)
        tried = 0
        lost: TransportError | None = None
        while True:
            try:
                return await self._once(call, result, deadline, told)
            except TransportError as error:
                pause = self.backoff.pause(tried)
                if not isinstance(error, ConnectError):
                    lost = error
                elif lost is None and not self.backoff.unreached:
                    raise
                if not may_pass(error) or tried >= self.backoff.tries or monotonic() + pause >= deadline:
                    raise (lost or error) from error.__cause__
            tried += 1
            await anyio.sleep(pause)

    async def _once(self, call: Call, result: type[T], deadline: float, told: Mapping[str, str]) -> T:
        """Try every way until one is reached."""
        unreached: ConnectError | None = None
        for way in self._ways:
            left = None if deadline == _NEVER else deadline - monotonic()
            try:
                request = call.request
                if told or way is not call.way or way.proof is not None:
                    request = await _complete(way, call, told)
                done = await way.binding.call(request, result, timeout=left)
            except ConnectError as error:
                unreached = unreached or error
            else:
                self._prefer(way)
                return done
        assert unreached is not None
        raise unreached

    @asynccontextmanager
    async def open(self, call: Call, timeout: float | None) -> AsyncGenerator[AsyncIterator[Arrival]]:
        """Send, and hand over the events while they arrive. Raises what the peer answers instead of a stream."""
        with self._onward(call) as told:
            async with AsyncExitStack() as stack:
                yield await self._open(stack, call, timeout, told)

    async def _open(
        self, stack: AsyncExitStack, call: Call, timeout: float | None, told: Mapping[str, str]
    ) -> AsyncIterator[Arrival]:
        unreached: ConnectError | None = None
        for way in tuple(self._ways):
            try:
                opening = way.binding.open(await _complete(way, call, told), timeout)
                arrivals = await stack.enter_async_context(opening)
            except ConnectError as error:
                unreached = unreached or error
            else:
                self._prefer(way)
                return arrivals
        assert unreached is not None
        raise unreached

    def _prefer(self, way: Way) -> None:
        """Stay with the way on which the peer was reached."""
        if way is not self._ways[0]:
            self._ways.remove(way)
            self._ways.insert(0, way)

    async def aclose(self) -> None:
        """Let go of what the bindings have opened."""
        for way in self._ways:
            await way.binding.aclose()


async def _complete(way: Way, call: Call, told: Mapping[str, str]) -> Outgoing:
    """The request as it leaves on this way, with the headers that are made anew for every try."""
    request = call.request
    if way is not call.way:
        request = _encode(way, call.method, call.params, call.headers, call.stream)
    if told:
        request = request._replace(headers={**told, **request.headers})
    if way.proof is not None:
        request = request._replace(headers={**request.headers, **await way.proof.headers()})
    return request


def _encode(
    way: Way, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None, stream: bool
) -> Outgoing:
    given = {name: value for name, value in params.items() if value is not None}
    if way.interface.tenant:
        given["tenant"] = way.interface.tenant
    return way.binding.prepare(method, given, headers, stream=stream)
