"""Sandboxes in containers of a Docker daemon, as strong as its runtime: `runc`, or gVisor's `runsc`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from secrets import token_hex
from typing import Any, ClassVar

from codin.errors import FileRefused, SandboxUnavailable
from codin.sandbox._docker.commands import Commands
from codin.sandbox._docker.container import container_config, user_of
from codin.sandbox._docker.daemon import Daemon, Gone, Refusal
from codin.sandbox._docker.files import Files
from codin.sandbox._docker.image import find_image
from codin.sandbox._docker.owner import labels_of, owned, remove, sweep
from codin.sandbox._docker.warden import Warden
from codin.sandbox._protocol import Code, FileInfo, Guarantee, Policy, Process, Snapshot
from codin.sandbox._sandbox import Sandbox
from codin.sandbox._to_its_end import done_or_undone

__all__ = ["DockerSandbox"]

_LONG = 100_000  # bytes of code; the kernel takes 128 KiB for one argument
_FROM_FILE = "import os; p={0!r}; s=open(p,'rb').read(); os.unlink(p); del os,p; exec(compile(s,'<string>','exec'))"


class DockerSandbox(Sandbox):
    """A container of its own on a Docker daemon.

    Commands run as a user without any privilege, on a file system that cannot be written but for one bounded tmpfs
    below `/tmp`, which also holds the working folder.

    Args:
        policy: what it must keep.
        image: what it runs in; it needs `/bin/sh`, and `python3` for `Code`. When not given, an image of this machine's
            Python without its packages, which is made on first use.
        pull: fetch the image from its registry when the daemon does not have it.
        runtime: a runtime of the daemon, such as `runsc`; its default when not given.
        host: the daemon, as in `unix:///run/docker.sock` or `ssh://me@machine`; when not given, what the `docker`
            command would use: `DOCKER_HOST`, its context, the usual socket.
        snapshot: the files it begins with.
    """

    kind: ClassVar[str] = "docker"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        image: str | None = None,
        pull: bool = False,
        runtime: str | None = None,
        host: str | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(policy, snapshot=snapshot)
        self._image = image
        self._pull = pull
        self._runtime = runtime
        self._host = host
        self._user = user_of(os.getuid() if hasattr(os, "getuid") else 0)
        self._gvisor = False
        self._stack: AsyncExitStack | None = None
        self._entrypoint: Sequence[str] = ()
        self._command: Sequence[str] = ()

    @property
    def entrypoint(self) -> Sequence[str]:
        """What the image runs by itself, once the sandbox is open; `command` are the arguments it gives to that."""
        return self._entrypoint

    @property
    def command(self) -> Sequence[str]:
        return self._command

    async def _shortfall(self) -> frozenset[Guarantee]:
        async with Daemon(self._host) as daemon:
            told = await _asked(daemon, "info")
            elsewhere, network = daemon.is_elsewhere, daemon.shares_network
        if (kind := told["OSType"]) != "linux":
            raise SandboxUnavailable(f"the Docker daemon runs containers of {kind}", hint="use a daemon on Linux")
        runtime = self._runtime or told["DefaultRuntime"]
        if runtime not in told["Runtimes"]:
            raise SandboxUnavailable(
                f"the Docker daemon has no runtime {runtime!r}",
                hint=f"it has {', '.join(sorted(told['Runtimes']))}; others are added in its daemon.json",
            )
        settings = json.dumps(told["Runtimes"][runtime])
        self._gvisor = "runsc" in settings or "runsc" in runtime
        lacking = self._lacking(told, settings)
        if self._policy.network == "full" and (self._gvisor or not network):
            # gVisor would take the addresses of the host's interfaces for its own network.
            lacking.add("network")
        if self._policy.mounts and elsewhere:
            lacking.add("files")
        return frozenset(lacking)

    def _lacking(self, told: Mapping[str, Any], settings: str) -> set[Guarantee]:
        lacking: set[Guarantee] = set()
        if any(mount.writable for mount in self._policy.mounts):
            lacking.add("disk")
        if self._gvisor:
            # The daemon counts gVisor's threads, and knows nothing of the processes inside.
            lacking.add("processes")
        if self._gvisor and "--ignore-cgroups" in settings:
            lacking |= {"memory", "cpu"}
        if not (told.get("MemoryLimit") and told.get("SwapLimit")):
            lacking.add("memory")
        if not told.get("CpuCfsQuota"):
            lacking.add("cpu")
        if not told.get("PidsLimit"):
            lacking.add("processes")
        if not self._gvisor and not any("name=seccomp" in option for option in told.get("SecurityOptions") or ()):
            lacking.add("syscalls")
        return lacking

    @property
    def gone(self) -> bool:
        return self._stack is not None and self._commands.is_gone

    async def _open(self) -> None:
        self._stack = await done_or_undone(self._opened, AsyncExitStack.aclose)

    async def _opened(self) -> AsyncExitStack:
        """Everything that is open, ready to be closed."""
        async with AsyncExitStack() as stack:
            daemon = await stack.enter_async_context(Daemon(self._host))
            try:
                async with asyncio.timeout(600):
                    await self._begin(daemon, stack)
            except Refusal as error:
                raise SandboxUnavailable(f"Docker does not make the container: {error}") from error
            except (Gone, TimeoutError) as error:
                raise SandboxUnavailable(f"the Docker daemon went away: {error}") from error
            return stack.pop_all()

    async def _begin(self, daemon: Daemon, stack: AsyncExitStack) -> None:
        await sweep(daemon)
        image = await find_image(daemon, self._image, pull=self._pull)
        self._entrypoint, self._command = tuple(image.entrypoint), tuple(image.command)
        name = token_hex(8)
        stack.enter_context(owned(name))
        config = container_config(
            self._policy,
            image.name,
            volumes=image.volumes,
            labels=labels_of(name),
            runtime=self._runtime,
            gvisor=self._gvisor,
        )
        stack.push_async_callback(remove, daemon, f"codin-{name}", name)
        made = await daemon.ask("POST", "containers/create", {"name": f"codin-{name}"}, config)
        channel = await daemon.attach(made["Id"])
        stack.push_async_callback(channel.close)
        warden = Warden(channel)
        self._commands = Commands(daemon, made["Id"], warden, self._user)
        events = await stack.enter_async_context(self._commands.events())
        stack.push_async_callback(self._commands.close)
        self._commands.watch(events)
        await daemon.ask("POST", f"containers/{made['Id']}/start")
        try:
            await warden.look()
        except Gone as error:
            raise SandboxUnavailable(
                f"the image {image.name!r} does not run: {error}", hint="it needs /bin/sh"
            ) from error
        self._files = Files(daemon, made["Id"], self._user, self._policy.limits)
        await self._files.make_folder()

    async def _close(self) -> None:
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        if isinstance(command, Code):
            command = ["python3", "-c", await self._argument(command.source)]
        return await self._commands.begin(command, env, cwd)

    async def _argument(self, source: str) -> str:
        if len(source.encode()) <= _LONG:
            return source
        name = f".{token_hex(8)}.py"
        await self._files.write(f"../{name}", _once(source.encode()))
        return _FROM_FILE.format(f"/tmp/{name}")

    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        try:
            await self._files.write(path, content)
        except FileRefused as refused:
            if "no space left" in str(refused):
                removal = await self._commands.begin(["rm", "-f", "--", path], {}, "")
                await removal.wait()
            raise

    def _read(self, path: str, /) -> AsyncIterator[bytes]:
        return self._files.read(path)

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        return await self._files.list(path)


async def _asked(daemon: Daemon, path: str) -> Any:
    try:
        return await daemon.ask("GET", path)
    except (Gone, Refusal) as error:
        raise SandboxUnavailable(f"Docker cannot be used: {error}", hint="start the daemon") from error


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
