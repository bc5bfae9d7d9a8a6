"""This machine, with its sandboxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from codin.errors import NoRuntime, PolicyNotEnforced, SandboxUnavailable
from codin.runtime._host import HostFolder
from codin.runtime._protocol import Command, Container, Emit, Endpoint, Kind, Outcome, Workload
from codin.runtime._runtime import Runtime, able
from codin.runtime._sandboxed import policy_of, run_in
from codin.runtime.http import HttpRuntime
from codin.sandbox import Code, Sandbox, sandbox_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from codin.net import AddressGuard

__all__ = ["LocalRuntime"]


class LocalRuntime(Runtime):
    """Runs on this machine: in the first of its sandboxes that can keep the policy; without one only where the
    workload says `off`, or `preferred` and there is none.

    Args:
        sandboxes: the kinds that may hold a workload, the best first. `wasm` holds Python code alone.
        guard: which addresses an endpoint may have, as `HttpRuntime` takes it.

    Example:
        done = await LocalRuntime().run(Command(Code("print(6 * 7)")))
        print(done.text, done.sandbox)
    """

    name: ClassVar[str] = "local"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "command", "endpoint"})

    def __init__(self, *, sandboxes: Sequence[str] = ("local", "wasm"), guard: AddressGuard | None = None) -> None:
        self._sandboxes = tuple(sandboxes)
        self._http = HttpRuntime(guard=guard)

    async def missing(self, workload: Workload, /) -> str:
        if isinstance(workload, Container):
            return "it runs no container"
        if isinstance(workload, Endpoint) or workload.demand != "required":
            return ""
        reasons: list[str] = []
        for sandbox in self._rooms(workload, reasons):
            try:
                await sandbox.check()
            except (SandboxUnavailable, PolicyNotEnforced) as error:
                reasons.append(error.message)
            else:
                return ""
        return _why(reasons)

    async def close(self) -> None:
        await self._http.close()

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        if isinstance(workload, Endpoint):
            return await self._http.call(workload, emit)
        async with self._room(workload) as sandbox:
            return await run_in(sandbox, workload, emit)

    @asynccontextmanager
    async def _room(self, workload: Workload) -> AsyncGenerator[Sandbox]:
        """An open sandbox for the workload, or the host where that may be."""
        reasons: list[str] = []
        if workload.demand != "off":
            for sandbox in self._rooms(workload, reasons):
                try:
                    await sandbox.__aenter__()
                except (SandboxUnavailable, PolicyNotEnforced) as error:
                    reasons.append(error.message)
                    continue
                try:
                    yield sandbox
                finally:
                    await sandbox.__aexit__(None, None, None)
                return
        if workload.demand == "required":
            raise NoRuntime(
                f"no sandbox for this {workload.kind} on this machine: {_why(reasons)}",
                able=able(workload.kind),
                hint="`codin runtimes` says what is missing; sandbox='off' runs it without one",
            )
        async with HostFolder(policy_of(workload)) as host:
            yield host

    def _rooms(self, workload: Workload, reasons: list[str]) -> Iterator[Sandbox]:
        """A sandbox of each kind that can hold it; why the others cannot is added to the reasons."""
        policy = policy_of(workload)
        for kind in self._sandboxes:
            if kind == "wasm" and not (isinstance(workload, Command) and isinstance(workload.command, Code)):
                reasons.append("a sandbox of kind 'wasm' runs Python code alone")
                continue
            try:
                yield sandbox_of(kind, policy)
            except SandboxUnavailable as error:
                reasons.append(error.message)


def _why(reasons: Sequence[str]) -> str:
    return "; ".join(reasons) or "no kind of sandbox was named"
