"""What is done to its end, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio

__all__ = ["done_or_undone", "to_its_end"]

_T = TypeVar("_T")


async def to_its_end(act: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Do it, and learn only then of having been cancelled, however often.

    A shield of anyio's knows its own scopes alone. A loop that closes cancels every task once, the one that does
    it as well: it is begun again then, and has to be such that it can.
    """
    doing = asyncio.create_task(act())
    cancelled = await _waited(doing)
    if doing.cancelled():
        doing = asyncio.create_task(act())
        cancelled = await _waited(doing) or cancelled
    if cancelled is not None:
        raise cancelled from (None if doing.cancelled() else doing.exception())
    return doing.result()


async def done_or_undone(
    act: Callable[[], Coroutine[Any, Any, _T]], undo: Callable[[_T], Coroutine[Any, Any, None]]
) -> _T:
    """Do it to its end, once, and undo it for who was cancelled meanwhile. What fails leaves nothing to undo."""
    doing = asyncio.create_task(act())
    if (cancelled := await _waited(doing)) is None:
        return doing.result()
    if not doing.cancelled() and doing.exception() is None:
        await to_its_end(partial(undo, doing.result()))
    raise cancelled


async def _waited(doing: asyncio.Task[Any]) -> asyncio.CancelledError | None:
    cancelled = None
    with anyio.CancelScope(shield=True):  # a scope that is cancelled would say so at each turn of the loop
        while not doing.done():
            try:
                await asyncio.wait([doing])
            except asyncio.CancelledError as error:
                cancelled = error
    return cancelled
