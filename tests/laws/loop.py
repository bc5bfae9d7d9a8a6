"""Runs an example, and says at once when everything in it waits for something that nobody will do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Stuck", "run"]


_MAX_ROUNDS = 100_000  # threads of a store wake the loop as often as they like


class Stuck(AssertionError):
    """Every task waits, and nothing is on its way."""


class _Impatient(selectors.DefaultSelector):
    """Timers that are further away than `patience` count as nothing: no example means to reach one."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.patience: float | None = patience
        self.rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        patience = self.patience
        self.rounds += 1
        if patience is not None and self.rounds > _MAX_ROUNDS:
            raise self._stuck("it goes round and round")
        if patience is None or (timeout is not None and timeout <= patience):
            return super().select(timeout)
        events = super().select(patience)
        if not events:
            raise self._stuck("nothing happens any more")
        return events

    def _stuck(self, why: str) -> Stuck:
        self.patience = None  # the loop still has to be closed
        waiting = "\n".join(repr(task) for task in asyncio.all_tasks(asyncio.get_running_loop()))
        return Stuck(f"{why}, and these wait:\n{waiting}")


def run(example: Callable[[], Coroutine[Any, Any, None]], patience: float) -> None:
    """Run an example on a loop of its own.

    Args:
        patience: seconds for which nothing at all may happen; tiny when everything happens in this thread.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Impatient(patience))) as runner:
        runner.run(example())
