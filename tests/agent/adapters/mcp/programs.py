"""MCP servers that are programs of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ROOT", "command", "free_port", "serving"]

ROOT = Path(__file__).parents[4]


def command(module: str) -> list[str]:
    """What runs a module of this folder, in `ROOT`."""
    return [sys.executable, "-m", f"tests.agent.adapters.mcp.{module}"]


_held: list[socket.socket] = []


def free_port() -> int:
    """A port nobody listens on, and that nobody is given who asks for any."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # whoever names it may have it
    found.bind(("127.0.0.1", 0))
    _held.append(found)
    return found.getsockname()[1]


@contextmanager
def serving(module: str, port: int) -> Generator[subprocess.Popen[bytes]]:
    """A module of this folder over HTTP, once it listens."""
    with subprocess.Popen([*command(module), str(port)], cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert any(b"Uvicorn running" in line for line in process.stderr)
            yield process
        finally:
            process.kill()
