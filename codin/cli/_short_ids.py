"""Tasks by how their ids begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from codin import a2a
from codin.client import Peer
from codin.errors import ConfigError

__all__ = ["with_whole_id"]

_SHORTEST = 4  # characters of an id
_LOOKED_AT = 1000  # tasks, for one whose id begins so

T = TypeVar("T")


async def with_whole_id(peer: Peer, task_id: str, act: Callable[[str], Awaitable[T]]) -> T:
    """Do something with a task; when there is none with this id, with the one whose id begins so."""
    try:
        return await act(task_id)
    except a2a.TaskNotFound:
        whole = await _begins_so(peer, task_id) if len(task_id) >= _SHORTEST else []
        if not whole:
            raise
    if len(whole) > 1:
        raise ConfigError(f"{len(whole)} tasks begin with {task_id!r}", hint="write more of the id")
    return await act(whole[0])


async def _begins_so(peer: Peer, start: str) -> list[str]:
    found: list[str] = []
    seen = 0
    with suppress(a2a.A2AError):  # a peer need not list
        async for task in peer.list(page_size=100, history_length=0):
            found += [task.id] if task.id.startswith(start) else []
            seen += 1
            if seen == _LOOKED_AT:
                break
    return found
