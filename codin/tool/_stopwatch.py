"""The time of a try, which is the tool's and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import cast

__all__ = ["Stopwatch"]


class Stopwatch:
    """The seconds that a try has. They run within `async with`, which raises TimeoutError once they are over.

    Attributes:
        left: seconds; 0 or less when they are over.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._began = 0.0
        self._scope: asyncio.Timeout | None = None

    @property
    def has_run(self) -> bool:
        return self._scope is not None

    @property
    def expired(self) -> bool:
        """The tool was stopped for it."""
        return self._scope is not None and self._scope.expired()

    def __aenter__(self) -> Awaitable[asyncio.Timeout]:  # no coroutine around another: each call passes here
        self._began = asyncio.get_running_loop().time()
        self._scope = asyncio.timeout(self.left)
        return self._scope.__aenter__()

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Awaitable[bool | None]:
        self.left -= asyncio.get_running_loop().time() - self._began
        return cast("asyncio.Timeout", self._scope).__aexit__(kind, error, trace)
