"""The one interface of all sandboxes. A back-end adds the underscored methods; what users call is written once."""

from __future__ import annotations

import asyncio
import math
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import PurePosixPath
from types import TracebackType
from typing import ClassVar, Self

import anyio
import anyio.lowlevel

from codin.errors import ConfigError, FileRefused, PolicyNotEnforced, SandboxClosed
from codin.sandbox._checks import check_command, check_content, check_env, check_number
from codin.sandbox._descriptors import needing_descriptors
from codin.sandbox._execution import Execution
from codin.sandbox._protocol import Code, ExecResult, FileInfo, Guarantee, Output, Policy, Process, Snapshot
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Sandbox"]

# Half of a letter, which no name of a file can have; the other half of these stands for a byte that is no UTF-8.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Sandbox(ABC):
    """A room of its own for commands that are not trusted: a working folder, programs, and bounds.

    It is opened by `async with`, which refuses when the policy demands more than this kind can keep here. The files of
    its working folder stay from command to command; processes do not outlive the command that began them. Several
    commands may run at the same time.

    Args:
        policy: what it must keep.
        snapshot: the files it begins with.

    Example:
        async with LocalSandbox() as sandbox:
            await sandbox.put("numbers.txt", b"1 2 3")
            done = await sandbox.exec(Code("print(sum(map(int, open('numbers.txt').read().split())))"))
            print(done.check().text)
    """

    kind: ClassVar[str]

    def __init__(self, policy: Policy | None = None, *, snapshot: Snapshot | None = None) -> None:
        self._policy = policy or Policy()
        self._begin_with = snapshot
        self._unenforced: frozenset[Guarantee] = frozenset()
        self._is_taken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """That which opened it, as long as it is open."""

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def unenforced(self) -> frozenset[Guarantee]:
        """What it does not keep here, once it was checked or opened: never anything that its policy demands."""
        return self._unenforced

    @property
    def gone(self) -> bool:
        """Whether it is known that its process or machine has ended by itself, and its files with it."""
        return False

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            SandboxUnavailable: this kind cannot be had here.
            PolicyNotEnforced: it can, and cannot keep what the policy demands.
            SandboxError: this process has too many files open.
            ConfigError: it is open, or no sandbox of this kind can have a limit of its policy.
        """
        if self._is_taken:
            raise ConfigError(f"the {self.kind} sandbox is open", hint="each block has a sandbox of its own")
        self._is_taken = True
        try:
            await self.check()
            with needing_descriptors():
                await self._open()
        except BaseException:
            self._is_taken = False
            raise
        self._loop = asyncio.get_running_loop()
        if self._begin_with is not None:
            try:
                await self.restore(self._begin_with)
            except BaseException:
                await self._end()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def check(self) -> None:
        """Find out whether it could be opened, and what it would not keep, without opening it. Raises as that does."""
        with needing_descriptors():
            self._unenforced = await self._shortfall()
        missing = self._unenforced & self._policy.demands
        if missing:
            raise PolicyNotEnforced(
                f"a sandbox of kind {self.kind!r} cannot keep {', '.join(sorted(missing))} here",
                missing=missing,
                hint="use another kind, or take it out of Policy.demands if it need not hold",
            )

    async def exec(
        self,
        command: Sequence[str] | Code,
        /,
        *,
        stdin: bytes | AsyncIterable[bytes] = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "",
        timeout: float | None = None,
        on_output: Callable[[Output], Awaitable[None]] | None = None,
    ) -> ExecResult:
        """Run a command to its end. A program that is not there ends with exit code 127, one that is none with 126.

        Args:
            command: the program and its arguments, which no shell reads, or code.
            stdin: what it can read.
            env: added to the environment of the policy.
            cwd: a folder of the working folder.
            timeout: seconds, if less than the policy's.
            on_output: is given the output as it comes.

        Raises:
            SandboxClosed: the sandbox is not open, or is gone.
            SandboxError: this process has too many files open.
            FileRefused: `cwd` is not a folder of this sandbox.
            ConfigError: another event loop has opened it, `env` has what no environment can have, or `timeout` is no
                number of seconds.
            TypeError: the command is no list of strings, or `stdin` gives no bytes.
        """
        async with self.start(command, stdin=stdin, env=env, cwd=cwd, timeout=timeout) as execution:
            if on_output is not None:
                async for output in execution:
                    await on_output(output)
            return await execution.result()

    @asynccontextmanager
    async def start(
        self,
        command: Sequence[str] | Code,
        /,
        *,
        stdin: bytes | AsyncIterable[bytes] = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "",
        timeout: float | None = None,
        keep: bool = True,
    ) -> AsyncGenerator[Execution]:
        """Run a command and look on; leaving the block kills what still runs. Arguments and errors as for `exec`.

        Args:
            keep: False for a program that one talks with: its output is given as it comes, without a bound, and is not
                in the result.
        """
        self._check_open()
        folder = inside(cwd) if cwd else ""
        if not isinstance(command, Code):
            check_command(command)
        check_env(env or {})
        check_content("stdin", stdin)
        if timeout is not None:
            check_number("timeout", timeout)
        with needing_descriptors():
            process = await self._start(command, {**self._policy.env, **(env or {})}, folder)
        bound = min(self._policy.limits.time or math.inf, math.inf if timeout is None else timeout)
        execution = Execution(process, self._policy.limits, None if bound == math.inf else bound, keep=keep)
        try:
            async with anyio.create_task_group() as feeding:
                feeding.start_soon(execution.keep_time)
                if stdin == b"":  # which needs no task
                    await process.end_input()
                else:
                    feeding.start_soon(_feed, process, stdin)
                yield execution
                feeding.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # The group is ours, and nothing that the caller's block knows of.
            only, *others = group.exceptions
            if others:
                raise
            raise only from only.__cause__
        finally:
            await to_its_end(partial(_over, process))

    async def put(self, path: str, content: bytes | AsyncIterable[bytes], /) -> None:
        """Write a file of the working folder, and the folders above it.

        Raises:
            FileRefused: the path leads out of the working folder, or there is no room.
        """
        self._check_open()
        check_content("content", content)
        limit = self._policy.limits.disk
        with needing_descriptors():
            await self._write(inside(path), _bounded(content, path, limit))

    async def get(self, path: str, /) -> bytes:
        """A file of the working folder.

        Raises:
            FileRefused: there is no such file.
        """
        return b"".join([chunk async for chunk in self.stream(path)])

    async def stream(self, path: str, /) -> AsyncIterator[bytes]:
        """A file of the working folder in pieces, for one that is large. Raises as `get` does."""
        self._check_open()
        with needing_descriptors():
            async for chunk in _bounded(self._read(inside(path)), path, self._policy.limits.disk):
                yield chunk

    async def list(self, path: str = "", /) -> Sequence[FileInfo]:
        """All files and folders below a folder of the working folder, sorted by path; links are left out.

        Raises:
            FileRefused: there is no such folder.
        """
        self._check_open()
        with needing_descriptors():
            return sorted(await self._list(inside(path) if path else ""), key=lambda file: file.path)

    async def snapshot(self) -> Snapshot:
        """The files of the working folder as they are now.

        Raises:
            FileRefused: together they are larger than `limits.disk`, as files with holes may be.
        """
        files = [file for file in await self.list() if not file.folder]
        self._check_sum(sum(file.size for file in files))
        found: dict[str, bytes] = {}
        total = 0
        for file in files:
            found[file.path] = content = await self.get(file.path)
            total += len(content)
            self._check_sum(total)  # a size is what the sandbox says
        return Snapshot(found)

    async def restore(self, snapshot: Snapshot, /) -> None:
        """Write the files of a snapshot; others that are there stay."""
        for path, content in snapshot.files.items():
            await self.put(path, content)

    def _check_open(self) -> None:
        if self._loop is None:
            raise SandboxClosed(f"the {self.kind} sandbox is not open", hint="use it inside `async with`")
        if self._loop is not asyncio.get_running_loop():  # what waits in one is not woken by another
            raise ConfigError(
                f"the {self.kind} sandbox belongs to the event loop that opened it, which is another one",
                hint="each loop, as each thread with one, has a sandbox of its own",
            )

    def _check_sum(self, size: int) -> None:
        if size > (limit := self._policy.limits.disk):
            raise FileRefused(f"the files are larger than {limit} bytes together", path="", hint="raise Limits.disk")

    async def _end(self) -> None:
        self._loop = None
        await to_its_end(self._close)
        self._is_taken = False

    @abstractmethod
    async def _shortfall(self) -> frozenset[Guarantee]:
        """What of its policy it cannot keep on this machine; raises as `check` does. Leaves nothing behind."""

    @abstractmethod
    async def _open(self) -> None:
        """Make the room. When it raises, nothing is left behind."""

    @abstractmethod
    async def _close(self) -> None:
        """Take everything away that it made. Does nothing when that was done, and goes on where it was cut off."""

    @abstractmethod
    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        """Begin a command with exactly this environment, in a folder below the working folder (empty: itself)."""

    @abstractmethod
    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        """Write a file, and the folders above it; what a failed write had begun is gone."""

    @abstractmethod
    def _read(self, path: str, /) -> AsyncIterator[bytes]:
        """A file in pieces; never through a link that leads out of the sandbox."""

    @abstractmethod
    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        """Everything below a folder."""


def inside(path: str) -> str:
    """The path, relative to the working folder and without detours.

    Raises:
        FileRefused: it is absolute, empty, or leads out.
    """
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path or _HALF.search(path):
        raise FileRefused(
            f"{path!r} is no path inside the working folder", path=path, hint="give a path relative to it, without `..`"
        )
    return "/".join(parts)


async def _bounded(content: bytes | AsyncIterable[bytes], path: str, limit: int) -> AsyncIterator[bytes]:
    total = 0
    async for chunk in _once(content) if isinstance(content, bytes) else content:
        total += len(chunk)
        if total > limit:
            raise FileRefused(f"{path!r} is larger than {limit} bytes", path=path, hint="raise Limits.disk")
        yield chunk


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _over(process: Process) -> None:
    await process.kill()
    await process.wait()


async def _feed(process: Process, stdin: bytes | AsyncIterable[bytes]) -> None:
    async for chunk in _once(stdin) if isinstance(stdin, bytes) else stdin:
        if chunk:
            await process.write(chunk)
        await anyio.lowlevel.checkpoint()  # neither need wait: a command that has ended takes everything
    await process.end_input()
