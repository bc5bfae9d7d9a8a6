"""Where a handler stands, read from its log: the message it began with, what it asked, what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import from_json

from codin.task._entry import Entry, InputEntry, PrivateEntry, StatusEntry

__all__ = ["Asked", "Position"]


@dataclass(slots=True)
class Asked:
    """One question of a handler and, once it is there, its answer (the stored JSON of the message)."""

    question: dict[str, Any]
    answer: bytes | None = None


@dataclass(slots=True)
class Position:
    """The state of a handler that has to be taken up again.

    Attributes:
        start: the number of the input entry that the handler began with.
        message: the stored JSON of that message.
        token: the pause token that a former run left for this one.
        asked: the questions of this handler, in order.
        answering: the index of the question that was asked last; not always the last one, because a forgotten
            credential is asked for again.
        waiting: what the next message means: the answer to an `ask`, to a pause, or to a guard that holds the task.
    """

    start: int = 0
    message: bytes = b""
    token: Any = None
    asked: Sequence[Asked] = ()
    answering: int = -1
    waiting: Literal["ask", "pause", "hold"] | None = None

    @staticmethod
    def holds(entries: Sequence[Entry]) -> bool:
        """Whether a guard holds the newest message: its decision is what the last status says."""
        newest = (entry.kind for entry in reversed(entries) if entry.kind != "push")
        return next(newest, None) == "status" and next(newest, None) == "decision"

    @classmethod
    def read(cls, entries: Iterable[Entry]) -> Position:
        """Walk a log from its start."""
        position = cls()
        paused: Any = None
        for entry in entries:
            if isinstance(entry, InputEntry):
                position._take_input(entry, paused)
            elif isinstance(entry, PrivateEntry):
                paused = position._take_private(entry, paused)
            elif isinstance(entry, StatusEntry) and entry.state.interrupted and position.waiting is None:
                position.waiting = "pause"
        return position

    def _take_input(self, entry: InputEntry, paused: Any) -> None:
        if self.waiting == "ask":
            self.asked[self.answering].answer = entry.body
        elif self.waiting != "hold":
            self.start = entry.number
            self.message = entry.body
            self.token = paused if self.waiting == "pause" else None
            self.asked = ()
            self.answering = -1
        self.waiting = None

    def _take_private(self, entry: PrivateEntry, paused: Any) -> Any:
        if entry.kind == "ask":
            question: dict[str, Any] = from_json(entry.body)
            self.answering = question.pop("again", len(self.asked))
            if self.answering == len(self.asked):
                self.asked = [*self.asked, Asked(question)]
            self.waiting = "ask"
        elif entry.kind == "pause":
            self.waiting = "pause"
            return from_json(entry.body)
        elif entry.kind == "decision" and from_json(entry.body)["action"] == "hold":
            self.waiting = "hold"
        return paused
