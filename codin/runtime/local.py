"""This machine, with its sandboxes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from codin.errors import ConfigError, NoRuntime, PolicyNotEnforced, SandboxUnavailable
from codin.runtime._host import HostFolder
from codin.runtime._protocol import Command, Container, Emit, Endpoint, Kind, Outcome, Workload
from codin.runtime._runtime import Runtime, able
from codin.runtime._sandboxed import policy_of, run_in
from codin.runtime.http import HttpRuntime
from codin.sandbox import Code, Guarantee, Policy, Sandbox, sandbox_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from codin.net import AddressGuard

__all__ = ["LocalRuntime"]

_PYTHON = re.compile(r"python3?")  # with a path, or a version, it is one of this machine's that is meant
_FLAG = re.compile(r"-[BEIPSsu]")  # which make no difference in a wasm sandbox
_KNOWN = ("-", "-c", "-m")


class LocalRuntime(Runtime):
    """Runs on this machine: in the first of its sandboxes that can keep the policy; without one only where the
    workload says `off`, or `preferred` and there is none.

    Args:
        sandboxes: the kinds that may hold a workload, the best first. `wasm` holds Python code alone: `Code`, and the
            commands of `python` or `python3`.
        demands: what a sandbox has to keep where a workload requires one, everything when not given: without control
            groups, `Policy().demands - {"memory"}` lets those run that are not root.
        guard: which addresses an endpoint may have, as `HttpRuntime` takes it.

    Example:
        done = await LocalRuntime().run(Command(Code("print(6 * 7)")))
        print(done.text, done.sandbox)
    """

    name: ClassVar[str] = "local"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "command", "endpoint"})

    def __init__(
        self,
        *,
        sandboxes: Sequence[str] = ("local", "wasm"),
        demands: Collection[Guarantee] | None = None,
        guard: AddressGuard | None = None,
    ) -> None:
        self._sandboxes = tuple(sandboxes)
        self._demands = Policy().demands if demands is None else Policy(demands=frozenset(demands)).demands
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
            except (SandboxUnavailable, PolicyNotEnforced, ConfigError) as error:
                reasons.append(error.message)
            else:
                return ""
        return _why(reasons)

    async def close(self) -> None:
        await super().close()
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
        refused: ConfigError | None = None
        if workload.demand != "off":
            for sandbox in self._rooms(workload, reasons):
                try:
                    await sandbox.__aenter__()
                except (SandboxUnavailable, PolicyNotEnforced, ConfigError) as error:
                    reasons.append(error.message)
                    if isinstance(error, ConfigError):  # of its limits, which says nothing of what this machine has
                        refused = refused or error
                    continue
                try:
                    yield sandbox
                finally:
                    await sandbox.__aexit__(None, None, None)
                return
        if refused is not None or workload.demand == "required":
            hint = "`codin runtimes` says what is missing; sandbox='off' runs it without one"
            raise NoRuntime(
                f"no sandbox for this {workload.kind} on this machine: {_why(reasons)}",
                able=able(workload.kind),
                hint=hint if refused is None else refused.hint,
            )
        async with HostFolder(policy_of(workload)) as host:
            yield host

    def _rooms(self, workload: Workload, reasons: list[str]) -> Iterator[Sandbox]:
        """A sandbox of each kind that can hold it; why the others cannot is added to the reasons."""
        policy = policy_of(workload)
        policy = replace(policy, demands=policy.demands & self._demands)
        for kind in self._sandboxes:
            if kind == "wasm" and (reason := _not_for_wasm(workload)):
                reasons.append(f"a sandbox of kind 'wasm' {reason}")
                continue
            try:
                yield sandbox_of(kind, policy)
            except SandboxUnavailable as error:
                reasons.append(error.message)


def _why(reasons: Sequence[str]) -> str:
    return "; ".join(reasons) or "no kind of sandbox was named"


def _not_for_wasm(workload: Workload) -> str:
    """Why its Python does not run the workload; empty if it does."""
    if not isinstance(workload, Command):
        return "runs Python code alone"
    if isinstance(workload.command, Code):
        return ""
    program, *words = workload.command
    if not _PYTHON.fullmatch(program):
        return "runs Python code alone"
    option = next((word for word in words if not _FLAG.fullmatch(word)), "-")
    if option.startswith("-") and option not in _KNOWN:
        return f"runs python3 with -c, -m, a file or -, and not with {option}"
    return "has no network" if workload.network != "none" else ""
