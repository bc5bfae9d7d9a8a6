"""A server in a process of its own, for tests in which signals or death are the point."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Process", "running"]

_ROOT = Path(__file__).parents[2]
_PATIENCE = 120.0


class Process:
    """A program that has printed where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        """Ask it to end."""
        self.send(signal.SIGTERM)

    def tell(self, line: str) -> None:
        """A line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def ended(self, within: float = _PATIENCE) -> int:
        """The exit code."""
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def errors(self) -> str:
        """What it wrote to standard error. Only when it has ended."""
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()


@asynccontextmanager
async def running(program: str, **settings: Any) -> AsyncGenerator[Process]:
    """Run a module with settings as JSON, and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, json.dumps(settings),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            line = (await process.stdout.readline()).decode()
        if not line:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        address = urlsplit(line.split()[-1])
        yield Process(process, f"http://127.0.0.1:{address.port}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        assert process.stdin is not None
        process.stdin.close()
