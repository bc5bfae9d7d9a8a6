"""A coroutine of somebody else's that is told to stop, and may not care."""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

__all__ = ["stoppable"]

T = TypeVar("T")
Keep = Callable[["asyncio.Task[None]"], None]

_logger = logging.getLogger("codin.tool")
_going_on: set[object] = set()  # somebody has to hold what goes on; else it would be collected while it runs


class Closed(BaseException):
    """No `Exception` and no `CancelledError`, which a loop that tries again and again may catch."""


@types.coroutine
def stoppable(work: Coroutine[Any, Any, T], name: str, grace: float, keep: Keep) -> Generator[Any, Any, T]:
    """Await `work`; who is cancelled meanwhile gets back within `grace` seconds, whatever the work does.

    So long it has to end. Then `Closed` comes out of its `await`, and what goes on all the same does so in a task of
    its own, which `keep` is given; a warning names it. Until then it runs in the task of whoever awaits it, since to
    make one takes longer than most calls.
    """
    try:
        coming = work.send(None)
    except StopIteration as end:  # as most do that wait for nothing, and nobody watches over those
        return end.value
    task = _current()
    patience = _Patience(task, grace)
    try:
        while True:
            try:
                yield coming
            except asyncio.CancelledError as error:
                if patience.is_over:
                    break
                patience.begin(error)
                coming = work.throw(error)
            except BaseException as error:
                coming = work.throw(error)
            else:
                coming = work.send(None)
            patience.look()
    except StopIteration as end:
        return end.value
    finally:
        patience.end()
    try:
        coming = work.throw(Closed("the tool did not stop when it was told to"))
    except BaseException:  # nobody asks any more how it ends
        _logger.warning("tool %s did not stop within %g s of being told to, and was closed", name, grace)
        raise patience.told from None
    _logger.warning("tool %s did not stop within %g s of being told to, and goes on", name, grace)
    carrying = task.get_loop().create_task(_carried(work, coming, name))
    _going_on.add(carrying)
    carrying.add_done_callback(_going_on.discard)
    keep(carrying)
    raise patience.told


class _Patience:
    """How long a task that is cancelled waits for what it does.

    Attributes:
        told: by what it was cancelled.
    """

    def __init__(self, task: asyncio.Task[Any], seconds: float) -> None:
        self.told = asyncio.CancelledError()
        self.is_over = False
        self._task = task
        self._before = task.cancelling()
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, told: asyncio.CancelledError) -> None:
        """It may be the task that is cancelled, or only what it waited for."""
        if self._timer is None and self._task.cancelling() > self._before:
            self.told = told
            self._timer = self._task.get_loop().call_later(self._seconds, self._lose)

    def look(self) -> None:
        """A timeout within the work cancels the task as well, and takes that back."""
        if self._timer is not None and self._task.cancelling() <= self._before:
            self.end()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.is_over:
            self._task.uncancel()  # which was `_lose`

    def _lose(self) -> None:
        self.is_over = True
        self._task.cancel()


async def _carried(work: Coroutine[Any, Any, Any], coming: Any, name: str) -> None:
    try:
        await _rest(work, coming)
    except asyncio.CancelledError:
        if _current().cancelling():
            _going_on.add(work)  # the program ends, and the tool with it
            return
    except BaseException as error:
        _logger.warning("tool %s, which went on, has ended by %s", name, type(error).__name__)
        return
    _logger.warning("tool %s, which went on, has ended", name)


@types.coroutine
def _rest(work: Coroutine[Any, Any, Any], coming: Any) -> Generator[Any, Any, None]:
    """What is left of a coroutine that waits for `coming`."""
    try:
        while True:
            try:
                yield coming
            except BaseException as error:
                if _current().cancelling():
                    raise
                coming = work.throw(error)
            else:
                coming = work.send(None)
    except (StopIteration, StopAsyncIteration):
        return


def _current() -> asyncio.Task[Any]:
    return cast("asyncio.Task[Any]", asyncio.current_task())
