"""What stands in for a vendor of sandboxes: an HTTP server in a thread, whose machines are sandboxes of this host."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, TypeVar

import anyio
from aiohttp import web

from codin.sandbox import Execution, Limits, Policy
from codin.sandbox.local import LocalSandbox

__all__ = ["KEY", "Cloud", "Fault", "Machine", "Run"]

_T = TypeVar("_T")
KEY = "key-that-must-not-be-seen"
MIB = 1024 * 1024
SIZE = Limits(cpu=2.0, memory=512 * MIB, processes=256, disk=128 * MIB, files=100_000, output=1 << 40, time=None)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Run:
    """One process of a machine, as its vendor's API shows it."""

    pid: int
    told: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])
    execution: Execution | None = None

    async def input(self) -> AsyncIterator[bytes]:
        while (chunk := await self.told.get()) is not None:
            yield chunk

    async def kill(self) -> None:
        if self.execution is not None:
            await self.execution.kill()


class Machine:
    """A machine that somebody has rented."""

    def __init__(self, id_: str, asked: dict[str, Any], *, network: bool) -> None:
        self.id = id_
        self.asked = asked
        self.renewed = 0
        self.runs: dict[int, Run] = {}
        self._sandbox = LocalSandbox(Policy(limits=SIZE, network="full" if network else "none", demands=frozenset()))
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self._stack.enter_async_context(self._sandbox)

    async def stop(self) -> None:
        for run in list(self.runs.values()):
            await run.kill()
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    async def run(
        self,
        command: Sequence[str],
        begun: Callable[[Run], Awaitable[None]],
        said: Callable[[bytes, str], Awaitable[None]],
    ) -> int:
        """Run a process to its end; what listens to it may go away before."""
        run = Run(len(self.runs) + 100)
        self.runs[run.pid] = run
        async with self._sandbox.start(command, stdin=run.input()) as execution:
            run.execution = execution
            await begun(run)
            async for output in execution:
                await said(output.data, output.stream)
            return (await execution.result()).exit_code


@dataclass
class Fault:
    """What happens to the next request whose method and path hold a word."""

    where: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: str = ""
    after: bool = False
    """The request is done, and its answer is lost."""
    hold: bool = False
    times: int = 1
    seen: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Cloud:
    """The server. What is below runs in its thread, but for what says otherwise."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.faults: list[Fault] = []
        self.log: list[str] = []
        self.renewals = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    # From the thread of the tests

    def start(self) -> None:
        self._thread.start()
        self.call(self._serve())

    def stop(self) -> None:
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, doing: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(60)

    def fail(self, where: str, **how: Any) -> Fault:
        fault = Fault(where, **how)
        self.faults.append(fault)
        return fault

    def forget(self) -> None:
        """Nobody's machines are left for the next test."""
        self.faults.clear()
        self.log.clear()
        self.renewals.clear()
        for machine in list(self.machines):
            self.call(self.delete(machine))

    def expire(self) -> None:
        """The time of all machines is up."""
        self.forget()

    def cut(self) -> None:
        """Every connection breaks."""

        async def abort() -> None:
            for connection in list(self._runner.server.connections if self._runner.server else ()):
                connection.force_close()
                if (transport := connection.transport) is not None:
                    transport.abort()

        self.call(abort())

    # For the servers

    async def create(self, asked: dict[str, Any], *, network: bool) -> Machine:
        machine = Machine(f"machine-{token_hex(8)}", asked, network=network)
        await machine.start()
        self.machines[machine.id] = machine
        return machine

    async def delete(self, id_: str) -> bool:
        if (machine := self.machines.pop(id_, None)) is None:
            return False
        await machine.stop()
        return True

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._middleware], client_max_size=64 * MIB)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _end(self) -> None:
        for machine in list(self.machines):
            await self.delete(machine)
        await self._runner.cleanup()
        await self._loop.shutdown_default_executor()

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        name = f"{request.method} {request.path}"
        self.log.append(name)
        for fault in self.faults:
            if fault.where in name and fault.times > 0:
                fault.times -= 1
                return await self._faulty(fault, request, handler)
        return await handler(request)

    async def _faulty(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        if fault.hold:
            fault.seen.set()
            await asyncio.to_thread(fault.go.wait, 30)
            return await handler(request)
        if fault.after:
            await handler(request)
        fault.seen.set()
        if fault.status:
            body = fault.body or json.dumps(
                {"code": fault.status, "message": "as the test wants it", "statusCode": fault.status}
            )
            return web.Response(status=fault.status, headers=fault.headers, text=body, content_type="application/json")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
