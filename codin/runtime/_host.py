"""The host itself as a working folder, for what was told to run without a sandbox, or has none."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, cast

import anyio

from codin.errors import FileRefused
from codin.sandbox import Code, Ending, FileInfo, Guarantee, Output, Policy, Process, Sandbox

__all__ = ["HostFolder"]


_AHEAD = 256 * 1024  # bytes that are read before somebody asks for them
_PIPE = 1024 * 1024  # bytes that a pipe holds at most


class HostFolder(Sandbox):
    """A temporary folder and ordinary processes: it keeps nothing but the time."""

    kind: ClassVar[str] = "host"

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy)
        self._folder = Path()

    async def _shortfall(self) -> frozenset[Guarantee]:
        return frozenset({"files", "network", "processes", "syscalls", "memory", "cpu", "disk"})

    async def _open(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="codin-"))

    async def _close(self) -> None:
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        argv = [sys.executable, "-c", command.source] if isinstance(command, Code) else list(command)
        if any("\0" in word for word in argv):  # where uvloop would end it
            return _NotStarted(f"{argv[0]}: embedded null byte", 126)
        try:
            _, process = await asyncio.get_running_loop().subprocess_exec(
                _HostProcess,
                *argv,
                cwd=self._folder / cwd,
                env={**os.environ, **env},
                start_new_session=True,  # so that everything it begins ends with it
            )
        except OSError as error:
            return _NotStarted(f"{argv[0]}: {error.strerror}", 127 if isinstance(error, FileNotFoundError) else 126)
        except ValueError as error:  # a word that no program can be given
            return _NotStarted(f"{argv[0]}: {error}", 126)
        return process

    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            async with await anyio.open_file(target, "wb") as file:
                async for chunk in content:
                    await file.write(chunk)
        except OSError as error:
            raise FileRefused(f"the file {path!r} cannot be written: {error.strerror}", path=path) from error

    async def _read(self, path: str, /) -> AsyncIterator[bytes]:
        try:
            async with await anyio.open_file(self._folder / path, "rb") as file:
                while chunk := await file.read(65536):
                    yield chunk
        except OSError as error:
            raise FileRefused(f"the file {path!r} cannot be read: {error.strerror}", path=path) from error

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        root = self._folder / path
        if not root.is_dir():
            raise FileRefused(f"there is no folder {path!r}", path=path)
        return list(self._below(root))

    def _below(self, root: Path) -> Iterator[FileInfo]:
        for place, folders, files in os.walk(root):  # which leaves out what cannot be looked into any more
            for name in (*folders, *files):
                found = Path(place, name)
                try:
                    told = found.lstat()
                except OSError:  # what runs on in here has taken it away meanwhile
                    continue
                if stat.S_ISREG(told.st_mode) or stat.S_ISDIR(told.st_mode):  # reading a pipe would never end
                    is_folder = stat.S_ISDIR(told.st_mode)
                    yield FileInfo(found.relative_to(self._folder).as_posix(), told.st_size, is_folder)


class _NotStarted:
    """A program that could not be started, in the words of a shell."""

    def __init__(self, reason: str, exit_code: int) -> None:
        self._said: Output | None = Output("stderr", f"{reason}\n".encode(errors="backslashreplace"))
        self._exit_code = exit_code

    async def read(self) -> Output | None:
        said, self._said = self._said, None
        return said

    async def write(self, chunk: bytes, /) -> None:
        return

    async def end_input(self) -> None:
        return

    async def wait(self) -> Ending:
        return Ending(self._exit_code)

    async def kill(self) -> None:
        return


class _HostProcess(asyncio.SubprocessProtocol):
    """What a subprocess says, in the order in which it came."""

    transport: asyncio.SubprocessTransport

    def __init__(self) -> None:
        self._coming: deque[Output] = deque()
        self._held = 0
        self._open_pipes = {1, 2}
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.SubprocessTransport", transport)  # uvloop's is of no class of asyncio's

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._coming.append(Output("stdout" if fd == 1 else "stderr", data))
        self._held += len(data)
        if self._held > _AHEAD:
            self._pause(fd)
        self._news.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        self._writable.set()
        self._news.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def process_exited(self) -> None:
        self._ended.set()
        # What it left behind in its session would hold the pipes open; what has one of its own still may.
        _kill_group(self.transport.get_pid())
        for fd in self._open_pipes:
            self._take_rest(fd)
        self.transport.close()

    async def read(self) -> Output | None:
        while not self._coming:
            if not self._open_pipes:
                return None
            self._news.clear()
            await self._news.wait()
        output = self._coming.popleft()
        self._held -= len(output.data)
        if self._held <= _AHEAD:
            self._resume()
        return output

    async def write(self, chunk: bytes, /) -> None:
        await self._writable.wait()
        if (stdin := self._pipe(0)) is not None:
            stdin.write(chunk)

    async def end_input(self) -> None:
        if (stdin := self._pipe(0)) is not None:
            stdin.close()

    async def wait(self) -> Ending:
        await self._ended.wait()
        code = self.transport.get_returncode() or 0
        return Ending(code, "killed" if code < 0 else "exited")

    async def kill(self) -> None:
        if not self._ended.is_set():
            _kill_group(self.transport.get_pid())

    def _pipe(self, fd: int) -> Any:
        """The transport of a pipe that is open, by whichever event loop."""
        pipe: Any = self.transport.get_pipe_transport(fd)
        return None if pipe is None or pipe.is_closing() else pipe

    def _take_rest(self, fd: int) -> None:
        """Take what is in a pipe that is to be closed."""
        if (pipe := self._pipe(fd)) is None:
            return
        end = pipe.get_extra_info("pipe") or pipe.get_extra_info("socket")
        with suppress(BlockingIOError):
            if rest := os.read(end.fileno(), _PIPE):
                pipe.get_protocol().data_received(rest)  # behind what it was told before, and tells in turn

    def _pause(self, fd: int) -> None:
        if (pipe := self._pipe(fd)) is not None:
            pipe.pause_reading()

    def _resume(self) -> None:
        for fd in self._open_pipes:
            if (pipe := self._pipe(fd)) is not None and not pipe.is_reading():
                pipe.resume_reading()


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
