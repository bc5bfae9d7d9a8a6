"""Looks after all processes of a workspace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codin.cli._ports import free_port
from codin.cli.workspace._folder import AGENTS, Workspace
from codin.cli.workspace._launch import HOST, Launch, Prepare, agent_launches, registry_launch
from codin.cli.workspace._process import Process
from codin.cli.workspace._record import Record
from codin.errors import ConfigError
from codin.net import open_transport

__all__ = ["Supervisor"]

REGISTRY = "registry"
"""The name of the process that is no agent."""

_HEAD_START = 10.0  # seconds that agents wait for their registry at most


class Supervisor:
    """Starts every agent of a workspace, and a registry for them unless there is one.

    Args:
        registry: the URL of one that is there; None starts one for the workspace.
        signed: with the keys that are found; else nobody signs anything.
        on_change: called after each change of state.

    Attributes:
        processes: by name.
    """

    def __init__(
        self, workspace: Workspace, *, registry: str | None, signed: bool, on_change: Callable[[], None]
    ) -> None:
        self.processes: dict[str, Process] = {}
        self.workspace = workspace
        self._registry = registry
        self._signed = signed
        self._own_registry: Prepare | None = None
        self._on_change = on_change
        self._record = Record(workspace)
        self._transport = open_transport()
        self._stopping = asyncio.Event()
        self._at_once = False
        self._leash = os.pipe()
        self._started = time.time()

    async def run(self) -> None:
        """Run everything until `stop`.

        Raises:
            ConfigError: somebody else does already.
        """
        lock = self._record.hold()
        try:
            async with asyncio.TaskGroup() as self._group:
                self._begin()
                await self._stopping.wait()
                for process in self.processes.values():
                    process.stop(at_once=self._at_once)
            self._record.clear()
        finally:
            for end in self._leash:  # when this is an error, they end by it
                os.close(end)
            await self._transport.aclose()
            lock.release()

    def stop(self) -> None:
        """End everything; the second time at once."""
        if self._stopping.is_set():
            self._at_once = True
            for process in self.processes.values():
                process.stop(at_once=True)
        self._stopping.set()

    def changed(self, paths: Iterable[Path]) -> Sequence[str]:
        """Start again what has to do with files that have changed. Gives the names."""
        if self._stopping.is_set():
            return []
        touched = {self._home(path) for path in paths}
        wanted = self._wanted()
        for name in self.processes.keys() - wanted.keys():
            self.processes.pop(name).stop()
        names: list[str] = []
        for name, (folder, prepare) in wanted.items():
            known = self.processes.get(name)
            if known is None:
                self._start(name, prepare)
                names.append(name)
            elif folder is not None and touched & {folder, None}:
                known.restart(prepare)
                names.append(name)
        self._changed()
        return names

    def _home(self, path: Path) -> Path | None:
        """The folder of the agent that a file belongs to; None for a tool, which any agent may use."""
        parts = path.relative_to(self.workspace.folder).parts
        return self.workspace.folder.joinpath(*parts[:2]) if parts[0] == AGENTS else None

    def _begin(self) -> None:
        if self._registry is None:
            port = free_port(HOST)
            self._registry = f"http://{HOST}:{port}"
            self._own_registry = registry_launch(self.workspace, port, signed=self._signed)
        for name, (_, prepare) in self._wanted().items():
            self._start(name, prepare)

    def _wanted(self) -> Mapping[str, tuple[Path | None, Prepare]]:
        """What has to run, by name, with the folder where its code is."""
        wanted: dict[str, tuple[Path | None, Prepare]] = {}
        if self._own_registry is not None:
            wanted[REGISTRY] = (None, self._own_registry)
        for folder in self.workspace.agents:
            try:
                if folder.name in wanted:
                    raise ConfigError(f"{folder.name!r} is the name of something else here", hint="rename its folder")
                launches = agent_launches(self.workspace, folder, self._registry, signed=self._signed)
            except ConfigError as error:
                wanted[f"{folder.name}.1" if folder.name in wanted else folder.name] = (folder, _refusing(error))
            else:
                wanted.update((name, (folder, prepare)) for name, prepare in launches.items())
        return wanted

    def _start(self, name: str, prepare: Prepare) -> None:
        process = self.processes[name] = Process(
            name,
            prepare,
            log=self.workspace.log(name),
            leash=self._leash[0],
            transport=self._transport,
            on_change=self._changed,
        )
        self._group.create_task(self._behind_the_registry(process))

    async def _behind_the_registry(self, process: Process) -> None:
        """Run an agent once it can join: it would be told that there is no registry, and try again a second later."""
        if self._own_registry is not None and process.name != REGISTRY:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEAD_START):
                    await self.processes[REGISTRY].begun()
        await process.run()

    def _changed(self) -> None:
        self._record.write(self.to_dict())
        self._on_change()

    def to_dict(self) -> Mapping[str, Any]:
        """What is written down, and what `codin ps --json` gives."""
        return {
            "version": 1,
            "workspace": str(self.workspace.folder),
            "supervisor": os.getpid(),
            "since": self._started,
            "registry": self._registry,
            "processes": [process.to_dict() for process in self.processes.values()],
        }


def _refusing(error: ConfigError) -> Prepare:
    """A process that cannot be: its manifest is wrong, which is shown in its place."""

    def prepare(_: int) -> Launch:
        raise error

    return prepare
