"""A command at work: its output as it comes, its bounds, its end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio

from codin.errors import SandboxError
from codin.sandbox._protocol import FLOOD, LAST, Ending, ExecResult, Limits, Output, Process, Stream

__all__ = ["Execution", "whole"]


class Execution:
    """A running command: iterate over it for its output, `result()` waits for its end.

    Example:
        async with sandbox.start(["make", "test"]) as execution:
            async for output in execution:
                print(output.text, end="")
            print((await execution.result()).exit_code)
    """

    def __init__(self, process: Process, limits: Limits, timeout: float | None, *, keep: bool = True) -> None:
        self._keep = keep
        self._process = process
        self._limits = limits
        self._began = anyio.current_time()
        self._deadline = math.inf if timeout is None else self._began + timeout
        self._kept: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._last: dict[Stream, bytes] = {}
        self._seen = 0
        self._over: str | None = None
        self._result: ExecResult | None = None
        self._turn = asyncio.Lock()

    async def __aiter__(self) -> AsyncIterator[Output]:
        """The output as it comes, up to what is kept of it; ends with the command."""
        while (output := await self._read()) is not None:
            if piece := await self._bounded(output) if self._keep else output.data:
                yield Output(output.stream, piece)

    async def result(self) -> ExecResult:
        """Wait for the end, and say how it was; the same answer every time."""
        if self._result is None:
            async for _ in self:
                pass
            self._result = self._told(await self._process.wait())
        return self._result

    async def kill(self) -> None:
        """End the command, and everything it began. Its result says `killed`."""
        await self._process.kill()

    async def _read(self) -> Output | None:
        async with self._turn:  # several may wait for the result
            return await self._process.read()

    async def _bounded(self, output: Output) -> bytes:
        """Keep of it what there is room for, and give that. Whoever writes far too much is killed."""
        kept = self._kept[output.stream]
        room = self._limits.output - len(kept)
        kept += output.data[:room]
        if beyond := output.data[room:]:
            self._last[output.stream] = (self._last.get(output.stream, b"") + beyond)[-LAST:]
        self._seen += len(output.data)
        if self._over is None and self._seen > FLOOD * self._limits.output:
            self._over = "output"
            await self._process.kill()
        return output.data[:room]

    async def keep_time(self) -> None:
        """Kill the command at its deadline, whether anybody reads or not; what it had written can still be read."""
        with suppress(SandboxError):  # which whoever reads is told
            with anyio.move_on_at(self._deadline):
                await self._process.wait()
                return
            self._over = self._over or "time"
            await self._process.kill()

    def _told(self, ending: Ending) -> ExecResult:
        stdout, stderr = bytes(self._kept["stdout"]), bytes(self._kept["stderr"])
        ended = self._over if self._over in ("time", "output") else ending.cause
        return ExecResult(
            exit_code=ending.exit_code,
            stdout=stdout,
            stderr=stderr,
            truncated=self._seen > len(stdout) + len(stderr),
            ended=ended,
            seconds=anyio.current_time() - self._began,
            last=dict(self._last),
        )


async def whole(execution: Execution) -> AsyncIterator[Output]:
    """Its output as it comes, what is not kept of it as well, for who parts it first; ends with the command."""
    while (output := await execution._read()) is not None:  # pyright: ignore[reportPrivateUsage] - of this module
        await execution._bounded(output)  # pyright: ignore[reportPrivateUsage]
        yield output
