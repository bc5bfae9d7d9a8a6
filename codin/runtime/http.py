"""Endpoints over HTTP, called by this process."""

from __future__ import annotations

import asyncio
import codecs
from typing import ClassVar

from codin.errors import AddressRefused, ConnectError, DeadlineExceeded, RuntimeUnavailable, TransportError
from codin.net import AddressGuard, Transport, open_transport
from codin.runtime._endpoint import TOO_LONG, answered, lost, refused
from codin.runtime._job import body_of
from codin.runtime._protocol import Emit, Endpoint, Item, Kind, Outcome, Workload
from codin.runtime._runtime import Runtime

__all__ = ["HttpRuntime"]


class HttpRuntime(Runtime):
    """Calls an endpoint. Nothing that it answers is run here, so that a sandbox has nothing to hold.

    Args:
        guard: which addresses may be called; those in the internet unless it says more.
        transport: sends the requests; one that keeps to the guard is opened when none is given.

    Example:
        done = await HttpRuntime().run(Endpoint("https://example.com/v1/sum", body={"numbers": [1, 2]}))
        print(done.value)
    """

    name: ClassVar[str] = "http"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"endpoint"})

    def __init__(self, *, guard: AddressGuard | None = None, transport: Transport | None = None) -> None:
        self._guard = guard or AddressGuard()
        self._transport = transport
        self._is_ours = transport is None

    async def missing(self, workload: Workload, /) -> str:
        return "" if isinstance(workload, Endpoint) else f"it runs no {workload.kind}"

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        assert isinstance(workload, Endpoint)
        return await self.call(workload, emit)

    async def close(self) -> None:
        await super().close()
        if self._is_ours and self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def call(self, workload: Endpoint, emit: Emit) -> Outcome:
        """Call it once, and hand over its answer in pieces.

        Raises:
            NoRuntime: its address may not be called from here.
            RuntimeUnavailable: nobody could be reached, or the connection was lost.
        """
        if self._transport is None:
            self._transport = open_transport(guard=self._guard)
        try:
            if self._is_ours:
                self._guard.check_written(workload.url)
            async with asyncio.timeout(workload.limits.time):
                return await _called(self._transport, workload, emit)
        except AddressRefused as error:
            raise refused(error.message) from error
        except (DeadlineExceeded, TimeoutError):
            return Outcome(exit_code=1, ended="time", error=f"no answer within {workload.limits.time} s")
        except ConnectError as error:
            raise RuntimeUnavailable(error.message, hint=error.hint) from error
        except TransportError as error:
            raise lost(workload, error.message) from error


async def _called(transport: Transport, workload: Endpoint, emit: Emit) -> Outcome:
    body, headers = body_of(workload)
    text = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be cut in two
    pieces: list[str] = []
    left = workload.limits.output
    async with transport.stream(
        workload.method, workload.url, headers=headers, content=body or b"", timeout=workload.limits.time
    ) as answer:
        async for chunk in answer.chunks:
            left -= len(chunk)
            if left < 0:
                return Outcome(exit_code=1, ended="output", error=TOO_LONG)
            pieces.append(text.decode(chunk))
            if pieces[-1]:
                await emit(Item(pieces[-1]))
        if rest := text.decode(b"", True):
            pieces.append(rest)
            await emit(Item(rest))
        return answered(workload, answer.status, answer.headers.get("content-type", ""), "".join(pieces))
