"""The accumulating fold: what a stream of events adds up to, and what in it is new text for a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from codin import a2a

__all__ = ["Fold", "Snapshot", "StreamValue", "artifacts_text", "spoken"]

StreamValue = a2a.Task | a2a.Message | a2a.TaskStatusUpdateEvent | a2a.TaskArtifactUpdateEvent
T = TypeVar("T")


class _Grown(NamedTuple, Generic[T]):
    """The first `size` of `items`, a list that is only ever appended to.

    Snapshots of a growing stream share the list and differ in the size, so that taking one copies nothing.
    """

    items: list[T]
    size: int

    def plus(self, item: T) -> _Grown[T]:
        items = self.items if len(self.items) == self.size else self.items[: self.size]
        items.append(item)
        return _Grown(items, self.size + 1)

    def read(self) -> list[T]:
        return self.items[: self.size]


class _Kept(NamedTuple):
    """An artifact: its head as it first came, the parts that are complete, and the plain text that may still grow."""

    head: a2a.Artifact
    parts: tuple[a2a.Part, ...]
    tail: _Grown[str]

    @classmethod
    def of(cls, artifact: a2a.Artifact) -> _Kept:
        parts, tail = _split(artifact.parts)
        return cls(artifact, parts, tail)

    def plus(self, parts: Sequence[a2a.Part]) -> _Kept:
        if len(parts) == 1 and (text := _plain_text(parts[0])) is not None:
            return self.plus_text(text)
        sealed, tail = _split(parts)
        return _Kept(self.head, (*self.all_parts(), *sealed), tail)

    def plus_text(self, text: str) -> _Kept:
        return _Kept(self.head, self.parts, self.tail.plus(text))

    def all_parts(self) -> tuple[a2a.Part, ...]:
        if not self.tail.size:
            return self.parts
        return (*self.parts, a2a.Part(text="".join(self.tail.read())))

    def text(self) -> str:
        return a2a.text_of(self.parts) + "".join(self.tail.read())

    def build(self) -> a2a.Artifact:
        return self.head.model_copy(update={"parts": list(self.all_parts())})

    def gist(self) -> tuple[str, list[a2a.Part]]:
        """What it says, however its text is cut into parts."""
        return self.text(), [part for part in self.parts if part.text is None]


class Snapshot(NamedTuple):
    """A task at one point of a stream. Never changes; `build` makes the wire object."""

    base: a2a.Task
    status: a2a.TaskStatus
    artifacts: dict[str, _Kept]
    history: _Grown[a2a.Message]

    @classmethod
    def of(cls, task: a2a.Task) -> Snapshot:
        artifacts = {artifact.artifact_id: _Kept.of(artifact) for artifact in task.artifacts}
        return cls(task, task.status, artifacts, _Grown(list(task.history), len(task.history)))

    @classmethod
    def nothing(cls, task_id: str, context_id: str | None) -> Snapshot:
        """A task of which an update came before anything else: a subscription in the middle of it."""
        status = a2a.TaskStatus(state=a2a.TaskState.UNSPECIFIED)
        task = a2a.Task(id=task_id, context_id=context_id, status=status)
        return cls(task, status, {}, _Grown(list[a2a.Message](), 0))

    def build(self) -> a2a.Task:
        return self.base.model_copy(
            update={
                "status": self.status,
                "artifacts": [artifact.build() for artifact in self.artifacts.values()],
                "history": self.history.read(),
            }
        )

    def has_text(self) -> bool:
        return any(artifact.text() for artifact in self.artifacts.values())

    def same(self, other: Snapshot) -> bool:
        """Whether a reader of both would see no difference."""
        return (
            self.status.state == other.status.state
            and self.status.message == other.status.message
            and self.artifacts.keys() == other.artifacts.keys()
            and all(kept.gist() == other.artifacts[name].gist() for name, kept in self.artifacts.items())
        )


class Fold:
    """Applies the events of one task in their order.

    A piece of plain text that is appended to an artifact whose last part is plain text continues that part. A status
    message moves into the history when the next status comes. A Task replaces everything.

    Attributes:
        snapshot: the task so far; None before the first event of a task. Spec 3.5.2, 4.2.
    """

    __slots__ = ("snapshot",)

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def apply(self, value: StreamValue) -> str:
        """Add one event. Returns the text that is new for a reader of everything before."""
        if isinstance(value, a2a.TaskArtifactUpdateEvent):
            return self._put(value)
        if isinstance(value, a2a.TaskStatusUpdateEvent):
            return self._set_status(value)
        if isinstance(value, a2a.Task):
            return self._replace(value)
        if self.snapshot is not None:
            self.snapshot = self.snapshot._replace(history=self.snapshot.history.plus(value))
        return a2a.text_of(value.parts)

    def differs(self, task: a2a.Task) -> bool:
        """Whether `task` holds anything that a reader of the events so far has not seen."""
        return self.snapshot is None or not self.snapshot.same(Snapshot.of(task))

    def _put(self, event: a2a.TaskArtifactUpdateEvent) -> str:
        snapshot = self.snapshot or Snapshot.nothing(event.task_id, event.context_id)
        artifact = event.artifact
        kept = snapshot.artifacts.get(artifact.artifact_id)
        if kept is not None and event.append:
            new = kept.plus(artifact.parts)
            text = a2a.text_of(artifact.parts)
        else:
            new = _Kept.of(artifact)
            text = _beyond(new.text(), kept)
        self.snapshot = snapshot._replace(artifacts={**snapshot.artifacts, artifact.artifact_id: new})
        return text

    def _set_status(self, event: a2a.TaskStatusUpdateEvent) -> str:
        old = self.snapshot or Snapshot.nothing(event.task_id, event.context_id)
        base, history = old.base, old.history
        if event.metadata:
            base = base.model_copy(update={"metadata": {**(base.metadata or {}), **event.metadata}})
        if (said := old.status.message) is not None and not _ends_with(history, said):
            history = history.plus(said)
        self.snapshot = Snapshot(base, event.status, old.artifacts, history)
        return spoken(self.snapshot)

    def _replace(self, task: a2a.Task) -> str:
        old, new = self.snapshot, Snapshot.of(task)
        self.snapshot = new
        if old is None:
            return artifacts_text(new) + spoken(new)
        text = "".join(_beyond(kept.text(), old.artifacts.get(name)) for name, kept in new.artifacts.items())
        return text if old.status.message == new.status.message else text + spoken(new)


def spoken(snapshot: Snapshot) -> str:
    """What the status itself says to the reader.

    That is its message when the task needs something or ended badly, and when it is complete without any text of its
    own. Messages on the way («searching …») are about the work, not part of the answer.
    """
    state, message = snapshot.status.state, snapshot.status.message
    if message is None or not (state.terminal or state.interrupted):
        return ""
    if state == a2a.TaskState.COMPLETED and snapshot.has_text():
        return ""
    return a2a.text_of(message.parts)


def artifacts_text(snapshot: Snapshot) -> str:
    """The text of all artifacts, one after the other."""
    return "".join(artifact.text() for artifact in snapshot.artifacts.values())


def _beyond(text: str, seen: _Kept | None) -> str:
    """What `text` has more than what was seen; all of it when it says something else."""
    return text.removeprefix(seen.text()) if seen is not None else text


def _ends_with(history: _Grown[a2a.Message], message: a2a.Message) -> bool:
    return history.size > 0 and history.items[history.size - 1].message_id == message.message_id


def _plain_text(part: a2a.Part) -> str | None:
    """The text of a part that is text and nothing else."""
    if part.metadata is None and part.filename is None and part.media_type is None:
        return part.text
    return None


def _split(parts: Iterable[a2a.Part]) -> tuple[tuple[a2a.Part, ...], _Grown[str]]:
    """The complete parts, and the plain text behind them that a later append continues."""
    complete = tuple(parts)
    if complete and (text := _plain_text(complete[-1])) is not None:
        return complete[:-1], _Grown([text], 1)
    return complete, _Grown(list[str](), 0)
