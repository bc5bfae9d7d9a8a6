"""An event across threads: a server in a thread sets it, and the test's event loop waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading

__all__ = ["Signal"]


class Signal:
    """Like `asyncio.Event`; any thread may set it, and any number of event loops may wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._waiting: set[asyncio.Future[None]] = set()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def set(self) -> None:
        """It has happened: wake everybody who waits."""
        with self._lock:
            self._set = True
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # the loop of somebody who waited has closed meanwhile
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def clear(self) -> None:
        """Forget it."""
        self._set = False

    async def wait(self) -> bool:
        """Wait until it has happened."""
        with self._lock:
            if self._set:
                return True
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
        return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
