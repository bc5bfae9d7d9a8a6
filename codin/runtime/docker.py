"""A Docker daemon: every workload in a container of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from codin.net import AddressGuard
from codin.runtime._endpoint import RemoteCall
from codin.runtime._one_sandbox import SandboxRuntime, command_of
from codin.runtime._protocol import Container, Emit, Endpoint, Kind, Outcome, Workload
from codin.runtime._sandboxed import policy_of
from codin.sandbox import Sandbox
from codin.sandbox.docker import DockerSandbox

__all__ = ["DockerRuntime"]


class DockerRuntime(SandboxRuntime):
    """Runs each workload in a container that is a sandbox: not as root, nothing to write but its working folder, and
    no network unless the workload says so or is an endpoint. An image needs `/bin/sh`.

    Args:
        image: what functions, modules, commands and endpoints run in; it needs `python3` for all but commands. When
            not given, an image of this machine's Python, which is made on first use.
        pull: fetch an image that the daemon does not have.
        runtime: a runtime of the daemon, such as `runsc` for gVisor.
        host: the daemon; that of the `docker` command when not given.
        guard: which addresses an endpoint may have, as `HttpRuntime` takes it.
    """

    name: ClassVar[str] = "docker"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "command", "container", "endpoint"})

    def __init__(
        self,
        *,
        image: str | None = None,
        pull: bool = False,
        runtime: str | None = None,
        host: str | None = None,
        guard: AddressGuard | None = None,
    ) -> None:
        self._image = image
        self._pull = pull
        self._runtime = runtime
        self._host = host
        self._guard = guard or AddressGuard()

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        if not isinstance(workload, Endpoint):
            return await super()._execute(workload, emit)
        call = await RemoteCall.of(workload, self._guard)
        return call.told(await super()._execute(call.workload, call.heard(emit)))

    def _sandbox(self, workload: Workload) -> Sandbox:
        image = workload.image if isinstance(workload, Container) else self._image
        if isinstance(workload, Endpoint):
            workload = replace(workload, network="full")
        return DockerSandbox(policy_of(workload), image=image, pull=self._pull, runtime=self._runtime, host=self._host)

    async def _plain(self, sandbox: Sandbox, workload: Workload) -> Workload:
        if not isinstance(workload, Container):
            return workload
        assert isinstance(sandbox, DockerSandbox)
        return command_of(workload, [*sandbox.entrypoint, *(workload.command or sandbox.command)])
