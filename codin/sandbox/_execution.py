"""A command at work: its output as it comes, its bounds, its end."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import anyio

from codin.sandbox._protocol import Ending, ExecResult, Limits, Output, Process, Stream

__all__ = ["Execution"]

_FLOOD = 16  # times the output that is kept: whoever writes more than that is not writing for a reader


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
        self._seen = 0
        self._over: str | None = None
        self._result: ExecResult | None = None

    async def __aiter__(self) -> AsyncIterator[Output]:
        """The output as it comes, up to what is kept of it; ends with the command."""
        while (output := await self._next()) is not None:
            if not self._keep:
                yield output
                continue
            kept = self._kept[output.stream]
            room = self._limits.output - len(kept)
            self._seen += len(output.data)
            if room > 0:
                piece = output.data[:room]
                kept += piece
                yield Output(output.stream, piece)
            if self._over is None and self._seen > _FLOOD * self._limits.output:
                self._over = "output"
                await self._process.kill()

    async def result(self) -> ExecResult:
        """Wait for the end, and say how it was; the same answer every time."""
        if self._result is None:
            async for _ in self:
                pass
            self._result = self._told(await self._ending())
        return self._result

    async def kill(self) -> None:
        """End the command, and everything it began. Its result says `killed`."""
        await self._process.kill()

    async def _next(self) -> Output | None:
        """The next output; at the deadline the command is killed, and what it had written still comes."""
        if self._over is None:
            with anyio.move_on_at(self._deadline):
                return await self._process.read()
            await self._out_of_time()
        return await self._process.read()

    async def _ending(self) -> Ending:
        """A command may close its output and go on, so that its end needs the deadline as well."""
        if self._over is None:
            with anyio.move_on_at(self._deadline):
                return await self._process.wait()
            await self._out_of_time()
        return await self._process.wait()

    async def _out_of_time(self) -> None:
        self._over = "time"
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
        )
