"""Daytona: every workload in a machine of its own, at the vendor's."""

from __future__ import annotations

from typing import ClassVar

from codin.errors import NoRuntime
from codin.runtime._one_sandbox import SandboxRuntime, command_of
from codin.runtime._protocol import Container, Kind, Workload
from codin.runtime._runtime import able
from codin.runtime._sandboxed import policy_of
from codin.sandbox import Sandbox
from codin.sandbox.daytona import DaytonaSandbox

__all__ = ["DaytonaRuntime"]

_NO_COMMAND = "Daytona does not run what an image says by itself: give the container a command"


class DaytonaRuntime(SandboxRuntime):
    """Runs commands, and commands in images, in machines at Daytona that are deleted afterwards.

    Args:
        image: what commands run in, made into a machine of the size that the workload's limits say. It needs `python3`.
        template: a snapshot at Daytona, when there is no image; Daytona's own when not given.
        api_key: when not given, that of the environment variable `DAYTONA_API_KEY`.
        api_url: of a Daytona that is not the vendor's own; when not given, that of `DAYTONA_API_URL`.
        target: the region; when not given, that of `DAYTONA_TARGET`.
    """

    name: ClassVar[str] = "daytona"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"command", "container"})

    def __init__(
        self,
        *,
        image: str | None = None,
        template: str | None = None,
        api_key: str | None = None,
        api_url: str | None = None,
        target: str | None = None,
    ) -> None:
        self._image = image
        self._template = template
        self._api_key = api_key
        self._api_url = api_url
        self._target = target

    async def missing(self, workload: Workload, /) -> str:
        if isinstance(workload, Container) and not workload.command:
            return _NO_COMMAND
        return await super().missing(workload)

    def _sandbox(self, workload: Workload) -> Sandbox:
        if isinstance(workload, Container) and not workload.command:
            raise NoRuntime(_NO_COMMAND, able=able(workload.kind))
        return DaytonaSandbox(
            policy_of(workload),
            image=workload.image if isinstance(workload, Container) else self._image,
            template=self._template,
            api_key=self._api_key,
            api_url=self._api_url,
            target=self._target,
        )

    async def _plain(self, sandbox: Sandbox, workload: Workload) -> Workload:
        if not isinstance(workload, Container):
            return workload
        return command_of(workload, workload.command)
