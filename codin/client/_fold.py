"""The accumulating fold: what a stream of events adds up to, and what in it is new text for a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codin import a2a

__all__ = ["Fold", "Snapshot", "StreamValue", "content_of", "spoken"]

StreamValue = a2a.Task | a2a.Message | a2a.TaskStatusUpdateEvent | a2a.TaskArtifactUpdateEvent


class _Kept(NamedTuple):
    """An artifact at one point of a stream: its head as it first came, the parts that are complete, and plain text.

    The text is the first `size` of `pieces`, a list that is only ever appended to. What is kept of a growing artifact
    at different points shares that list, so that neither taking one up nor keeping it copies any text. Only the newest
    may be continued.
    """

    head: a2a.Artifact
    parts: tuple[a2a.Part, ...]
    pieces: list[str]
    size: int

    @classmethod
    def of(cls, head: a2a.Artifact, parts: Iterable[a2a.Part]) -> _Kept:
        complete = tuple(parts)
        if complete and (text := _plain_text(complete[-1])) is not None:
            return cls(head, complete[:-1], [text], 1)
        return cls(head, complete, [], 0)

    def plus(self, parts: Sequence[a2a.Part]) -> _Kept:
        if len(parts) == 1 and (text := _plain_text(parts[0])) is not None:
            self.pieces.append(text)
            return _Kept(self.head, self.parts, self.pieces, self.size + 1)
        return _Kept.of(self.head, (*self.all_parts(), *parts))

    def tail(self) -> str:
        return "".join(self.pieces[: self.size])

    def text(self) -> str:
        return a2a.text_of(self.parts) + self.tail()

    def all_parts(self) -> tuple[a2a.Part, ...]:
        return (*self.parts, a2a.Part(text=self.tail())) if self.size else self.parts

    def build(self) -> a2a.Artifact:
        return self.head.model_copy(update={"parts": list(self.all_parts())})

    def content(self) -> str:
        """All of it as one string, however its text is cut into parts."""
        return content_of(self.parts) + self.tail()

    def gist(self) -> tuple[str, list[a2a.Part]]:
        """What it says, however its text is cut into parts."""
        return self.text(), [part for part in self.parts if part.text is None]


class Snapshot(NamedTuple):
    """A task at one point of a stream. Never changes; `build` makes the wire object."""

    base: a2a.Task
    status: a2a.TaskStatus
    artifacts: dict[str, _Kept]
    history: tuple[a2a.Message, ...]

    @classmethod
    def of(cls, task: a2a.Task) -> Snapshot:
        artifacts = {artifact.artifact_id: _Kept.of(artifact, artifact.parts) for artifact in task.artifacts}
        return cls(task, task.status, artifacts, tuple(task.history))

    @classmethod
    def nothing(cls, task_id: str, context_id: str | None) -> Snapshot:
        """A task of which an update came before anything else: a subscription in the middle of it."""
        status = a2a.TaskStatus(state=a2a.TaskState.UNSPECIFIED)
        return cls(a2a.Task(id=task_id, context_id=context_id, status=status), status, {}, ())

    def build(self) -> a2a.Task:
        artifacts = [artifact.build() for artifact in self.artifacts.values()]
        return self.base.model_copy(
            update={"status": self.status, "artifacts": artifacts, "history": list(self.history)}
        )

    def contents(self) -> dict[str, str]:
        """The content of each artifact, by its id."""
        return {name: kept.content() for name, kept in self.artifacts.items()}

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
        replaced: the newest event took text back that the reader has been told.
    """

    __slots__ = ("_before", "_midway", "_said", "_told", "replaced", "snapshot")

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.replaced = False
        self._told: dict[str, str] = {}  # of artifacts that begin again: what the reader was told before
        self._midway: set[str] = set()  # artifacts whose beginning this reader has not seen
        self._before: dict[str, _Kept] = {}  # artifacts as they were when this reader came
        self._said: a2a.Message | None = None

    def apply(self, value: StreamValue) -> str:
        """Add one event. Returns the text that is new for a reader of everything before."""
        self.replaced = False
        if isinstance(value, a2a.TaskArtifactUpdateEvent):
            return self._put(value)
        if isinstance(value, a2a.TaskStatusUpdateEvent):
            return self._set_status(value)
        if isinstance(value, a2a.Task):
            return self._replace(value)
        if self.snapshot is not None:
            self.snapshot = self.snapshot._replace(history=(*self.snapshot.history, value))
        return a2a.text_of(value.parts)

    def recall(self, task: a2a.Task) -> None:
        """The task as it was when the reader came: what it says is not new."""
        self._before = Snapshot.of(task).artifacts

    def differs(self, task: a2a.Task) -> bool:
        """Whether `task` holds anything that a reader of the events so far has not seen."""
        return self.snapshot is None or not self.snapshot.same(Snapshot.of(task))

    def _put(self, event: a2a.TaskArtifactUpdateEvent) -> str:
        base, status, artifacts, history = self.snapshot or Snapshot.nothing(event.task_id, event.context_id)
        artifact = event.artifact
        kept = artifacts.get(artifact.artifact_id)
        if kept is not None and event.append:
            new = kept.plus(artifact.parts)
            text = a2a.text_of(artifact.parts)
            if artifact.artifact_id in self._told:
                text = self._retold(artifact.artifact_id, new.text(), self._told.pop(artifact.artifact_id))
        else:
            new = _Kept.of(artifact, artifact.parts)
            seen = None if event.append else kept or self._before.get(artifact.artifact_id)
            text = _beyond(new.text(), seen)
            if event.append:
                self._midway.add(artifact.artifact_id)
            elif kept is not None:
                text = self._begun_again(artifact.artifact_id, kept.text(), new.text())
        self.snapshot = Snapshot(base, status, {**artifacts, artifact.artifact_id: new}, history)
        return text

    def _begun_again(self, artifact_id: str, before: str, text: str) -> str:
        """What is new in an artifact that takes the place of what was there."""
        midway = artifact_id in self._midway
        self._midway.discard(artifact_id)  # from here on its beginning is known
        if midway and before and text.endswith(before):
            return ""  # the closing update repeats what was said before this reader came
        return self._retold(artifact_id, text, self._told.pop(artifact_id, before))

    def _retold(self, artifact_id: str, text: str, told: str) -> str:
        """What is new in the text of an artifact that began again, e.g. because its agent was run again."""
        if text.startswith(told):
            return text[len(told) :]
        if told.startswith(text):
            self._told[artifact_id] = told
            return ""
        self.replaced = True
        return text

    def _set_status(self, event: a2a.TaskStatusUpdateEvent) -> str:
        base, old, artifacts, history = self.snapshot or Snapshot.nothing(event.task_id, event.context_id)
        if event.metadata:
            base = base.model_copy(update={"metadata": {**(base.metadata or {}), **event.metadata}})
        said = old.message
        if said is not None and not (history and history[-1].message_id == said.message_id):
            history = (*history, said)
        self.snapshot = Snapshot(base, event.status, artifacts, history)
        return self._cut_short(self.snapshot) + self._speak(self.snapshot)

    def _cut_short(self, snapshot: Snapshot) -> str:
        """The texts that began again and have ended before all that was told before."""
        if not self._told or not snapshot.status.state.terminal:
            return ""
        texts = [snapshot.artifacts[artifact_id].text() for artifact_id in self._told]
        self._told.clear()
        self.replaced = True
        return "".join(texts)

    def _replace(self, task: a2a.Task) -> str:
        old, self.snapshot = self.snapshot, Snapshot.of(task)
        seen = {} if old is None else old.artifacts
        told, self._told = self._told, {}
        text = "".join(
            self._retold(name, kept.text(), told[name]) if name in told else _beyond(kept.text(), seen.get(name))
            for name, kept in self.snapshot.artifacts.items()
        )
        if old is not None and old.status.message == task.status.message:
            return text
        return text + self._speak(self.snapshot)

    def _speak(self, snapshot: Snapshot) -> str:
        message = snapshot.status.message
        if message == self._said:  # a stream that was taken up again may tell a status twice
            return ""
        artifacts = (*self._before.values(), *snapshot.artifacts.values())
        if text := spoken(snapshot.status, (artifact.text() for artifact in artifacts)):
            self._said = message
        return text


def spoken(status: a2a.TaskStatus, texts: Iterable[str]) -> str:
    """What the status itself says to the reader.

    That is its message when the task needs something or ended badly, and when it is complete without any text of its
    own. Messages on the way («searching …») are about the work, not part of the answer.

    Args:
        texts: of the task's artifacts.
    """
    message = status.message
    if message is None or not (status.state.terminal or status.state.interrupted):
        return ""
    if status.state == a2a.TaskState.COMPLETED and any(texts):
        return ""
    return a2a.text_of(message.parts)


def content_of(parts: Iterable[a2a.Part]) -> str:
    """Parts as one string: text as it is, anything else as its JSON."""
    return "".join([part.to_json().decode() if part.text is None else part.text for part in parts])


def _beyond(text: str, seen: _Kept | None) -> str:
    """What `text` has more than what was seen; all of it when it says something else."""
    return text.removeprefix(seen.text()) if seen is not None else text


def _plain_text(part: a2a.Part) -> str | None:
    """The text of a part that is text and nothing else."""
    if part.metadata is None and part.filename is None and part.media_type is None:
        return part.text
    return None
