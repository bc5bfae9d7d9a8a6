"""What a stream that was taken up in the middle tells a second time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from codin import a2a
from codin.client._fold import content_of

__all__ = ["Overlap", "Verdict"]

Verdict = Literal["new", "known", "unclear"]

_QUESTIONS = 8


class Overlap:
    """Tells the updates that the Task of a subscription has already from those that are new.

    A plain peer may collect updates for a subscriber before it makes the Task that the subscriber gets first, and no
    update says whether that Task has it. But what comes again lies behind what had come before, is in order, and comes
    before anything new. So the next piece of an artifact begins where the updates had come to, at the end of what the
    Task has, or in between; and every piece rules out the places where it does not fit. A piece that fits in between
    and might be new all the same is looked for in the task as it is now: a peer keeps an update before it tells it,
    so a new piece is there, behind everything that was known.

    «Content» is all that an artifact has, as one string; places are counted in it.
    """

    __slots__ = ("_asked", "_asking", "_starts", "open")

    def __init__(self) -> None:
        self.open = False
        self._starts: dict[str, Collection[int]] = {}  # of each artifact: the places where its next piece may begin
        self._asking: tuple[str, set[int], str] = ("", set(), "")
        self._asked = 0

    def begin(self, had: Mapping[str, str], has: Mapping[str, str]) -> None:
        """A subscription begins with a Task.

        Args:
            had: the content of each artifact before.
            has: the content of each artifact in the Task.
        """
        self._starts = {name: self._between(name, had.get(name, ""), content) for name, content in has.items()}
        self.open, self._asked = True, 0

    def _between(self, name: str, had: str, has: str) -> range:
        if not has.startswith(had):
            first = 0
        elif self.open:  # what the reader has of the last Task may not have come as an update yet
            first = min(self._starts.get(name, (0,)))
        else:
            first = len(had)
        return range(first, len(has) + 1)

    def end(self) -> None:
        """From here on everything is new."""
        self.open = False

    def judge(self, update: a2a.TaskArtifactUpdateEvent, content: str | None) -> Verdict:
        """Whether an update is new.

        Args:
            content: what the reader has of the artifact; None without any of it.
        """
        piece = content_of(update.artifact.parts)
        name = update.artifact.artifact_id
        if not self.open or not piece:
            return "new"
        if content is None:
            self.end()
            return "new"
        if not update.append and piece == content:
            self._starts[name] = {len(content)}
            return "new"
        starts = self._starts.get(name, (0,)) if update.append else (0,)
        ends = {start + len(piece) for start in starts if content.startswith(piece, start)}
        may_be_new = not update.append or len(content) in starts
        if may_be_new and not ends:
            self.end()
            return "new"
        if ends and not may_be_new:
            self._starts[name] = ends
            return "known"
        self._asking = (name, ends, content + piece if update.append else piece)
        return "unclear"

    def answer(self, has: Mapping[str, str]) -> None:
        """The reader has taken over the task as it is, in place of an update that was unclear.

        Args:
            has: the content of each artifact in it.
        """
        name, ends, if_new = self._asking
        content = has.get(name, "")
        if content.startswith(if_new):
            ends.add(len(if_new))
        self._starts[name] = ends or range(len(content) + 1)
        self._asked += 1
        if self._asked >= _QUESTIONS:  # what repeats itself for ever rules nothing out; without a race it is new
            self._starts = {name: {max(places)} for name, places in self._starts.items()}
