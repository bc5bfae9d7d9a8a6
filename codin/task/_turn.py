"""A message that was taken in: what it leads to, as an answer or as a stream."""

from __future__ import annotations

from collections.abc import Awaitable

from codin.task._live import Subscription
from codin.task._log import TaskLog

__all__ = ["Turn"]


class Turn:
    """A message that was taken in, at entry `number` of a log."""

    __slots__ = ("_answer", "_history_length", "_snapshot", "log", "number")

    def __init__(
        self, log: TaskLog, number: int, history_length: int | None, snapshot: bytes | None, answer: bytes | None = None
    ) -> None:
        self.log: TaskLog = log
        self.number: int = number
        self._history_length = history_length
        self._snapshot = snapshot
        self._answer = answer  # of a turn that was over when it was asked for again

    def outcome(self) -> Awaitable[bytes]:
        """The `Task` at the first terminal or interrupted entry of this turn."""
        if self._answer is not None:
            return _known(self._answer)
        return self.log.outcome(self.number, self._history_length)

    async def accepted(self) -> bytes:
        """The `Task` as it is when the turn begins, once that is committed."""
        await self.log.settled(self.number)
        return self._snapshot if self._snapshot is not None else (await self.log.snapshot(self._history_length))[1]

    async def stream(self) -> Subscription:
        """The `Task` folded to where the turn begins, and everything after it until the turn rests."""
        task = await self.accepted()
        return Subscription((self.number, task), self.log.reader(self.number, until_interrupted=True))


async def _known(answer: bytes) -> bytes:
    return answer
