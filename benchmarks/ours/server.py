"""codin's server: three agents a beginner would write, with default settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import codin
from codin.agent import Task, agent
from codin.server import App
from codin.task import Limits


@agent
async def echo(text: str) -> str:
    """Answer what was said."""
    return text


@agent
async def stream(text: str) -> AsyncIterator[str]:
    """As many chunks as the text says."""
    for number in range(int(text)):
        yield f"chunk {number} "
        await asyncio.sleep(0)


@agent
async def idle(text: str, task: Task) -> str:
    """One chunk, then wait for ever."""
    await task.write(text)
    await asyncio.Event().wait()
    return text


_AGENTS = {"echo": echo, "stream": stream, "idle": idle}


def build(agent: str, store: str | None = None, port: int = 1) -> App:
    """Make the app.

    Args:
        agent: `echo`, `stream` or `idle`.
        store: `sqlite:///file.db?synchronous=full`; None keeps tasks in memory.
    """
    return App(_AGENTS[agent], store=store or "memory://", limits=_limits(agent))


def serve(agent: str, store: str | None, port: int) -> None:
    """Serve one of the agents the way a user does. The arguments are those of `build`."""
    codin.serve(_AGENTS[agent], port=port, store=store or "memory://", limits=_limits(agent))


def _limits(agent: str) -> Limits | None:
    # Thousands of tasks that never end are more than a server takes by default; nothing else is changed.
    return Limits(max_running=10_000) if agent == "idle" else None
