"""One event of a stream, as a reader gets it."""

from __future__ import annotations

from typing import Literal

from codin import a2a
from codin.client._fold import Snapshot, StreamValue

__all__ = ["Event", "Kind"]

Kind = Literal["task", "message", "status", "artifact"]

_KINDS: dict[type[object], Kind] = {
    a2a.Task: "task",
    a2a.Message: "message",
    a2a.TaskStatusUpdateEvent: "status",
    a2a.TaskArtifactUpdateEvent: "artifact",
}


class Event:
    """What a peer said at one point of a stream.

    Attributes:
        number: its place in the task's log; None when the peer does not number (only codin's servers do).
        value: the A2A object. A Task in the middle of a stream takes the place of everything before it: it comes
            when a stream was cut and the peer could only tell the state it is in.
        text: only what is new to a reader of all events before. Joined, the texts of a stream are the answer; the
            update that closes an artifact by repeating all of it has "".
        replaced: this event's text takes the place of what its artifact said before. An agent that was run again
            may come to another answer; `event.task` has it right.
    """

    __slots__ = ("_snapshot", "_task", "number", "replaced", "text", "value")

    def __init__(
        self,
        value: StreamValue,
        text: str,
        snapshot: Snapshot | None,
        number: int | None = None,
        *,
        replaced: bool = False,
    ) -> None:
        self.number: int | None = number
        self.value: StreamValue = value
        self.text: str = text
        self.replaced: bool = replaced
        self._snapshot = snapshot
        self._task: a2a.Task | None = None

    @property
    def kind(self) -> Kind:
        """Which of the four kinds `value` is."""
        return _KINDS[type(self.value)]

    @property
    def task(self) -> a2a.Task | None:
        """The task as all events up to this one make it; None when the peer answers with a message and no task."""
        if self._task is None and self._snapshot is not None:
            self._task = self._snapshot.build()
        return self._task

    @property
    def state(self) -> a2a.TaskState | None:
        """The state the task is in; None when there is no task or nothing is known of it yet."""
        if self._snapshot is None or self._snapshot.status.state == a2a.TaskState.UNSPECIFIED:
            return None
        return self._snapshot.status.state

    def __repr__(self) -> str:
        return f"Event(number={self.number!r}, kind={self.kind!r}, state={self.state!r}, text={self.text!r})"
