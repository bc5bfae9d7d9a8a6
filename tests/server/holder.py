"""A program: serves an agent that holds on to its task until a line comes on standard input."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from typing import Any

import codin
from codin.agent import agent
from codin.server import ServerLimits, log_lines
from codin.task import Limits, Task

__all__ = ["holder"]

_released = asyncio.Event()


@agent
async def holder(text: str, task: Task) -> None:
    """`hold` holds, `ask` asks, `flood` floods and holds, `spill` says somewhat more than a small buffer holds."""
    _listen(asyncio.get_running_loop())
    await task.write("begun")
    if text == "ask":
        await task.write((await task.ask("what?")).text)
    elif text == "flood":
        for _ in range(60):
            await task.write("x" * 100_000)
    elif text == "spill":
        await task.write("x" * 50_000)
    if text != "ask":
        await _released.wait()
    await task.write(" and done")


_listening = threading.Event()


def _listen(loop: asyncio.AbstractEventLoop) -> None:
    def read() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(_released.set)

    if not _listening.is_set():
        _listening.set()
        threading.Thread(target=read, daemon=True).start()


def _with_send_buffers_of(size: int) -> None:
    """What a listener says of its buffers holds for the connections that it accepts."""
    bind = socket.socket.bind

    def binding(self: socket.socket, address: Any) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        bind(self, address)

    socket.socket.bind = binding


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    if "send_buffer" in settings:
        _with_send_buffers_of(settings.pop("send_buffer"))
    for name, kind in (("limits", Limits), ("server_limits", ServerLimits)):
        if name in settings:
            settings[name] = kind(**settings[name])
    if "logs" in settings:
        log_lines("plain", settings.pop("logs"))
    codin.serve(holder, port=0, **settings)
