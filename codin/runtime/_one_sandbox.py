"""Back-ends whose way to run anything is a sandbox of one kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from codin.errors import NoRuntime, PolicyNotEnforced, RuntimeUnavailable, SandboxUnavailable
from codin.runtime._protocol import Command, Container, Emit, Outcome, Workload, terms_of
from codin.runtime._runtime import Runtime, able
from codin.runtime._sandboxed import run_in
from codin.sandbox import Sandbox

__all__ = ["SandboxRuntime", "command_of"]


class SandboxRuntime(Runtime):
    """A runtime that opens a sandbox for each workload, and closes it behind it."""

    async def missing(self, workload: Workload, /) -> str:
        if workload.kind not in self.kinds:
            return f"it runs no {workload.kind}"
        try:
            await self._sandbox(workload).check()
        except (SandboxUnavailable, PolicyNotEnforced) as error:
            return error.message
        return ""

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        sandbox = self._sandbox(workload)
        try:
            await sandbox.__aenter__()
        except PolicyNotEnforced as error:
            raise NoRuntime(error.message, able=able(workload.kind), hint=error.hint) from error
        except SandboxUnavailable as error:
            raise RuntimeUnavailable(error.message, hint=error.hint) from error
        try:
            return await run_in(sandbox, await self._plain(sandbox, workload), emit)
        finally:
            await sandbox.__aexit__(None, None, None)

    @abstractmethod
    def _sandbox(self, workload: Workload) -> Sandbox:
        """One for the workload, not yet opened."""

    async def _plain(self, sandbox: Sandbox, workload: Workload) -> Workload:
        """The workload as one that the guest or a command can do: what a container is made of is a back-end's own."""
        return workload


def command_of(workload: Container, argv: Sequence[str]) -> Command:
    """What an image runs, as a command in it."""
    return Command(argv, workload.stdin, **terms_of(workload))
