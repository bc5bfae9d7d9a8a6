"""Python in WebAssembly: a sandbox wherever there is a wheel of wasmtime, without a daemon and without privileges."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

import anyio
from anyio import to_thread

from codin.errors import ConfigError, FileRefused, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox._protocol import MIB, Code, FileInfo, Guarantee, Policy, Process, Snapshot
from codin.sandbox._sandbox import Sandbox
from codin.sandbox._wasm._files import Fault, File, Folder, Tree

if TYPE_CHECKING:
    from codin.sandbox._wasm._machine import Machine, Share
    from codin.sandbox._wasm._run import Program, Run

__all__ = ["WasmSandbox", "build"]

_LEAST = 48 * MIB  # the interpreter itself has 41 MiB
_NEXT = 64 * MIB  # kept for each command that may come while another one runs
_PIECE = 256 * 1024
_LONGEST_PATH = 4096
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_NO_MATTER = {"-B", "-E", "-I", "-P", "-S", "-s", "-u"}
_WHY = {
    "no-entry": "there is no such file",
    "not-directory": "a part of the path is a file and no folder",
    "is-directory": "it is a folder",
    "not-empty": "it is a folder",
    "insufficient-space": "there is no room for it",
    "name-too-long": "the name is too long",
}
_logger = logging.getLogger("codin.sandbox")


class WasmSandbox(Sandbox):
    """CPython as a WebAssembly component: no process, no file, no socket of the host is within its reach.

    It runs `Code` and the commands of `python`, with the standard library and without other packages. Files are in
    the memory of this process, up to `Limits.disk`. Its first use on a machine builds the interpreter, which takes
    about a minute; `build` does so ahead of time.

    Args:
        policy: what it must keep.
        snapshot: the files it begins with.
        at_once: how many commands run at the same time; more wait for their turn. `Limits.memory` is for all of
            them: each that may still come has 64 MiB of it set aside.
    """

    kind: ClassVar[str] = "wasm"

    def __init__(self, policy: Policy | None = None, *, snapshot: Snapshot | None = None, at_once: int = 3) -> None:
        super().__init__(policy, snapshot=snapshot)
        if at_once < 1:
            raise ValueError("a sandbox runs at least one command at a time")
        limits = self.policy.limits
        self._places = max(1, min(at_once, limits.memory // _NEXT))
        self._turns = anyio.Semaphore(self._places)
        self._free = limits.memory
        self._runs: set[Run] = set()
        self._tree: Tree | None = None
        self._machine: Machine | None = None
        self._share: Share | None = None

    async def _shortfall(self) -> frozenset[Guarantee]:
        try:
            from codin.sandbox._wasm import _machine as _  # noqa: F401
        except (ImportError, OSError, RuntimeError) as error:
            raise SandboxUnavailable(
                f"a sandbox of kind 'wasm' needs wasmtime: {error}", hint="pip install 'codin[wasm]'"
            ) from error
        if self.policy.limits.memory < _LEAST:
            raise ConfigError(
                f"the interpreter of a wasm sandbox does not fit into {self.policy.limits.memory} bytes",
                hint=f"raise Limits.memory to {_LEAST} or more",
            )
        short: set[Guarantee] = set()
        if self.policy.network != "none":
            short.add("network")
        if self.policy.mounts:
            short.add("files")
        return frozenset(short)

    async def _open(self) -> None:
        from codin.sandbox._wasm._machine import Share

        self._machine = await _ready()
        self._tree = Tree(self.policy.limits)
        self._share = Share(self.policy.limits.cpu)

    async def _close(self) -> None:
        self._tree = None
        for run in list(self._runs):
            await run.kill()
        for run in list(self._runs):
            await run.wait()

    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        from codin.sandbox._wasm._run import Run

        program = _program(command, env, cwd)
        tree = self._files()
        try:
            if not isinstance(tree.find(tree.box, cwd), Folder):
                raise Fault("not-directory")
        except Fault as fault:
            raise _refused(cwd, fault) from None
        await self._turns.acquire()
        if self._tree is not tree:
            self._turns.release()
            raise SandboxClosed("the wasm sandbox was closed while a command waited for its turn")
        granted = self._free - _NEXT * (self._places - len(self._runs) - 1)
        self._free -= granted

        def end() -> None:
            self._runs.discard(run)
            self._free += granted
            self._turns.release()

        assert self._machine is not None
        assert self._share is not None
        run = Run(self._machine, tree, self._share, program, memory=granted, on_end=end)
        self._runs.add(run)
        try:
            run.start()
        except BaseException:  # no thread to be had
            end()
            raise
        return run

    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        tree, file = self._files(), File()
        tree.hold(file)
        try:
            async for chunk in content:
                tree.write(file, None, chunk)
            tree.put(path, file)
        except Fault as fault:
            raise _refused(path, fault) from None
        finally:
            tree.let_go(file)

    async def _read(self, path: str, /) -> AsyncIterator[bytes]:
        tree = self._files()
        try:
            file = tree.find(tree.box, path)
            if not isinstance(file, File):
                raise Fault("is-directory")
        except Fault as fault:
            raise _refused(path, fault) from None
        tree.hold(file)
        try:
            offset = 0
            while piece := tree.read(file, offset, _PIECE):
                yield piece
                offset += len(piece)
        finally:
            tree.let_go(file)

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        tree = self._files()
        try:
            top = tree.find(tree.box, path)
            if not isinstance(top, Folder):
                raise Fault("not-directory")
        except Fault as fault:
            raise _refused(path, fault) from None
        files: list[FileInfo] = []
        waiting = [(path, top)]
        while waiting:
            above, folder = waiting.pop()
            for name, node in tree.listed(folder):
                where = f"{above}/{name}" if above else name
                if len(where) > _LONGEST_PATH:
                    continue
                files.append(FileInfo(where, len(node.data) if isinstance(node, File) else 0, isinstance(node, Folder)))
                if isinstance(node, Folder):
                    waiting.append((where, node))
        return files

    def _files(self) -> Tree:
        assert self._tree is not None
        return self._tree


async def build() -> None:
    """Build the interpreter of wasm sandboxes, unless that was done: about a minute, once for a user of this machine.

    Raises:
        SandboxUnavailable: what builds it is not installed, or fails.
    """
    from codin.sandbox._wasm import _build

    if await to_thread.run_sync(_build.found) is not None:
        return
    _logger.info("building the Python of wasm sandboxes, about a minute and once only: %s", _build.place())
    command = [sys.executable, "-m", "codin.sandbox._wasm._build"]
    done = await anyio.run_process(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SandboxUnavailable(
            f"the Python of wasm sandboxes could not be built: {done.stderr.decode(errors='replace').strip()[-500:]}",
            hint="pip install 'codin[wasm]'; `python -m codin.sandbox.wasm` shows all of it",
        )


async def _ready() -> Machine:
    from wasmtime import WasmtimeError

    from codin.sandbox._wasm import _build
    from codin.sandbox._wasm._machine import Machine

    place = _build.place()
    if (machine := Machine.of(place)) is not None:
        return machine
    await build()
    try:
        return await to_thread.run_sync(Machine.load, place)
    except WasmtimeError:
        _build.forget()  # it was made for another processor
    await build()
    return await to_thread.run_sync(Machine.load, place)


def _program(command: Sequence[str] | Code, env: Mapping[str, str], cwd: str) -> Program:
    """What python would make of its command line.

    Raises:
        SandboxError: it is a command of another program, or an option that is not known here.
    """
    from codin.sandbox._wasm._run import Program

    how, source, argv = ("code", command.source, ["-c"]) if isinstance(command, Code) else _parsed(list(command))
    folder = f"/box/{cwd}".rstrip("/")
    for text in (source, *argv, *env, *env.values()):
        text.encode()  # here and not on its way to the interpreter
    return Program(how=how, source=source, argv=argv, env=list(env.items()), cwd=folder)


def _parsed(command: list[str]) -> tuple[str, str, list[str]]:
    program, *words = command
    if not _PYTHON.fullmatch(PurePosixPath(program).name):
        raise SandboxError(
            f"a sandbox of kind 'wasm' runs Python and nothing else, so not {program!r}",
            hint="use one of kind 'local', 'docker', 'e2b' or 'daytona' for other programs",
        )
    while words and words[0] in _NO_MATTER:
        words.pop(0)
    match words:
        case [] | ["-", *_]:
            return "stdin", "", words or [""]
        case ["-c", source, *rest]:
            return "code", source, ["-c", *rest]
        case ["-m", module, *rest]:
            return "module", module, [module, *rest]
        case [option, *_] if option.startswith("-"):
            raise SandboxError(
                f"the Python of a wasm sandbox does not know the option {option!r}",
                hint="it knows -c, -m, a file, and - for stdin",
            )
        case _:
            return "file", words[0], words


def _refused(path: str, fault: Fault) -> FileRefused:
    why = _WHY.get(fault.code, fault.code)
    hint = "raise Limits.disk or Limits.files" if fault.code == "insufficient-space" else None
    return FileRefused(f"{path!r} is refused: {why}", path=path, hint=hint)


def _main() -> None:
    try:
        anyio.run(build)
    except SandboxUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _main()
