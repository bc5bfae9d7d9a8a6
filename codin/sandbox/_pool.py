"""Sandboxes that are open before they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import anyio

from codin.errors import SandboxClosed
from codin.sandbox._sandbox import Sandbox
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Pool"]


class Pool:
    """Keeps sandboxes open, so that whoever needs one does not wait for it. Each is used once, by one user.

    Args:
        make: makes a sandbox, not yet opened.
        size: how many are kept open for the next users.
        most: how many may be in use at a time; who comes later waits.

    Example:
        async with Pool(LocalSandbox) as pool, pool.take() as sandbox:
            await sandbox.exec(["true"])
    """

    def __init__(self, make: Callable[[], Sandbox], *, size: int = 2, most: int = 16) -> None:
        if size < 1 or most < 1:
            raise ValueError("a pool keeps at least one sandbox, and lends at least one")
        self._make = make
        self._size = size
        self._ready: deque[Sandbox] = deque()
        self._opening = 0
        self._places = anyio.Semaphore(most)
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Open the sandboxes. Raises what opening one raises."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(to_its_end, self._empty)
            for _ in range(self._size):
                self._ready.append(await self._make().__aenter__())
            self._group = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(self._group.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stack is not None:
            stack, self._stack = self._stack, None
            # Without the error of the block, which the task group would put into a group that nobody there knows of.
            await stack.__aexit__(None, None, None)

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[Sandbox]:
        """A sandbox that nobody has used; it is closed after the block, and another takes its place.

        Raises:
            SandboxClosed: the pool is not open.
            SandboxError: none was ready, and none could be opened.
        """
        self._check_open()
        async with self._places, AsyncExitStack() as stack:
            while self._ready and self._ready[0].gone:
                await self._ready.popleft().__aexit__(None, None, None)
            sandbox = self._ready.popleft() if self._ready else await self._make().__aenter__()
            stack.push_async_exit(sandbox)
            self._check_open()  # it may have been closed while one was opened
            self._group.start_soon(self._refill)
            yield sandbox

    def _check_open(self) -> None:
        if self._stack is None:
            raise SandboxClosed("the pool of sandboxes is not open", hint="use it inside `async with`")

    async def _refill(self) -> None:
        if len(self._ready) + self._opening >= self._size:
            return
        self._opening += 1
        try:
            # Whoever finds none ready opens one, and is told why that fails.
            with suppress(Exception):
                self._ready.append(await self._make().__aenter__())
        finally:
            self._opening -= 1

    async def _empty(self) -> None:
        while self._ready:
            await self._ready.popleft().__aexit__(None, None, None)
