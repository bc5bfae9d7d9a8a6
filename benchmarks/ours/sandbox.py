"""Times of one sandbox, in milliseconds: `python -m benchmarks.ours.sandbox KIND WHAT SECONDS`.

WHAT is `fresh`: open, run a command, close. `bare`: the same command without codin (by `bwrap` for `local`, and by
`docker run` in the same image for `docker`). `code` and `bare_code`: the same two for code of Python in place of
`true`, where the kind is `local`; `floor`: `bare` with an interpreter that does nothing. `exec`: run a command in a
sandbox that is open. `pooled`: what it takes more to take the sandbox out of a pool first.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from codin.sandbox import Code, Pool, Sandbox, sandbox_of

_TRUE: Sequence[str] = ["true"]
# The line that a person would write for the same walls.
_BWRAP = [
    *("bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/box"),
    *("--cap-drop", "ALL"),
]
_PREFIXES = [word for prefix in (sys.base_prefix, sys.prefix) for word in ("--ro-bind", prefix, prefix)]
_PYTHON = [*_PREFIXES, sys.executable, "-B", "-c", ""]
# Started as the supervisor is, and gone before it has to tidy up.
_INTERPRETER = [
    *(*_PREFIXES, str(Path(sys.executable).resolve()), "-I", "-S", "-B", "-X", "utf8"),
    *("-c", "import posix; posix._exit(0)"),
]

Once = Callable[[], Awaitable[float]]


def _command(kind: str) -> Sequence[str] | Code:
    return Code("") if kind == "wasm" else _TRUE


async def _bare(kind: str, stack: AsyncExitStack) -> Once:
    bare: dict[str, Sequence[str]] = {"local": [*_BWRAP, *_TRUE], "wasm": [sys.executable, "-I", "-c", ""]}
    return _process(await _docker_run(stack) if kind == "docker" else bare[kind])


async def _bare_code(kind: str, stack: AsyncExitStack) -> Once:
    return _process([*_BWRAP, *_PYTHON])


async def _floor(kind: str, stack: AsyncExitStack) -> Once:
    return _process([*_BWRAP, *_INTERPRETER])


def _process(command: Sequence[str]) -> Once:
    async def once() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)  # noqa: ASYNC221 - alone here
        return time.perf_counter() - begun

    return once


async def _docker_run(stack: AsyncExitStack) -> Sequence[str]:
    await stack.enter_async_context(sandbox_of("docker"))  # which makes the image where there is none yet
    listing = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "codin-sandbox"]
    image = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()[0]  # noqa: ASYNC221 - alone here
    return ["docker", "run", "--rm", "--network", "none", image, *_TRUE]


async def _fresh(kind: str, stack: AsyncExitStack) -> Once:
    return _opening(kind, _command(kind))


async def _code(kind: str, stack: AsyncExitStack) -> Once:
    return _opening(kind, Code(""))


def _opening(kind: str, command: Sequence[str] | Code) -> Once:
    async def once() -> float:
        begun = time.perf_counter()
        async with sandbox_of(kind) as sandbox:
            (await sandbox.exec(command)).check()
        return time.perf_counter() - begun

    return once


async def _exec(kind: str, stack: AsyncExitStack) -> Once:
    sandbox = await stack.enter_async_context(sandbox_of(kind))

    async def once() -> float:
        return await _timed(sandbox, kind)

    return once


async def _pooled(kind: str, stack: AsyncExitStack) -> Once:
    """A pool is asked now and then; the sandbox that takes the place of the last one is ready by then."""
    opened = asyncio.Semaphore(0)

    class Noted(Pool):
        async def _refill(self) -> None:
            await super()._refill()
            opened.release()

    pool = await stack.enter_async_context(Noted(lambda: sandbox_of(kind), size=2))
    open_one = await stack.enter_async_context(sandbox_of(kind))

    async def once() -> float:
        alone = await _timed(open_one, kind)
        begun = time.perf_counter()
        async with pool.take() as sandbox:
            (await sandbox.exec(_command(kind))).check()
            taken = time.perf_counter() - begun
        await opened.acquire()
        return taken - alone

    return once


async def _timed(sandbox: Sandbox, kind: str) -> float:
    begun = time.perf_counter()
    (await sandbox.exec(_command(kind))).check()
    return time.perf_counter() - begun


_WHAT: dict[str, Callable[[str, AsyncExitStack], Awaitable[Once]]] = {
    "bare": _bare,
    "bare_code": _bare_code,
    "code": _code,
    "exec": _exec,
    "floor": _floor,
    "fresh": _fresh,
    "pooled": _pooled,
}


async def _measure(kind: str, what: str, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        once = await _WHAT[what](kind, stack)
        for _ in range(3):
            await once()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < 20 or time.perf_counter() < end:
            times.append(await once())
    print(json.dumps({"median": statistics.median(times) * 1000, "best": min(times) * 1000}))


if __name__ == "__main__":
    asyncio.run(_measure(sys.argv[1], sys.argv[2], float(sys.argv[3])))
