"""The fold: what a log adds up to, kept as pieces of JSON that are joined only when somebody reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from codin import a2a

__all__ = ["Fold"]

_TEXT = b'{"text":'


class _Artifact:
    """Parts that are complete, and the run of plain text that may still grow behind them."""

    __slots__ = ("head", "parts", "text")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.parts: list[bytes] = []
        self.text: list[str] = []

    def extend(self, parts: Sequence[bytes]) -> None:
        text = _plain_text(parts[0]) if len(parts) == 1 else None
        if text is not None:
            self.continue_text(text)
            return
        if self.text:
            self.parts.append(_text_part(self.text))
            self.text = []
        self.parts.extend(parts)

    def continue_text(self, text: str) -> None:
        if not self.text and self.parts:
            last = _plain_text(self.parts[-1])
            if last is not None:
                del self.parts[-1]
                self.text.append(last)
        self.text.append(text)

    def to_json(self) -> bytes:
        parts = self.parts
        if self.text:
            parts = [*parts, _text_part(self.text)]
        return self.head + b',"parts":[' + b",".join(parts) + b"]}"


class Fold:
    """A task as its entries up to number `last` make it. `ids` are the two ids every event of it begins with.

    Text that is appended to an artifact whose last part is plain text continues that part: a reader sees one text, not
    a thousand pieces. A status message moves into the history when the next status or message comes.
    """

    __slots__ = (
        "_artifacts", "_head", "_message", "_sealed", "_status", "changed", "history", "ids", "last", "metadata",
        "state",
    )  # fmt: skip

    def __init__(self, task_id: str, context_id: str) -> None:
        task, context = to_json(task_id), to_json(context_id)
        ids = task + b',"contextId":' + context
        self.ids: bytes = b'"taskId":' + ids
        self._head = b'{"id":' + ids
        self._status = b'{"state":"TASK_STATE_SUBMITTED"}'
        self._message: bytes | None = None
        self._artifacts: dict[str, _Artifact] = {}
        self.history: list[bytes] = []
        self.metadata: dict[str, Any] | None = None
        self._sealed: bytes | None = None  # the whole JSON of a task that has ended
        self.state: a2a.TaskState = a2a.TaskState.SUBMITTED
        self.changed: int = 0
        self.last: int = 0

    @classmethod
    def restore(cls, last: int, changed: int, task: bytes) -> Fold:
        """Take up a stored fold again.

        Args:
            last: the number of the last entry that is in it.
            changed: when its status changed, in milliseconds since 1970.
            task: the JSON of the `Task`.
        """
        stored = from_json(task)
        fold = cls(stored["id"], stored["contextId"])
        for message in stored.get("history", ()):
            fold.add_message(to_json(message))
        for artifact in stored.get("artifacts", ()):
            parts = [to_json(part) for part in artifact.pop("parts")]
            fold.put_parts(artifact["artifactId"], to_json(artifact)[:-1], parts, append=False)
        status = stored["status"]
        message = status.get("message")
        state = a2a.TaskState(status["state"])
        fold.set_status(state, to_json(status), message and to_json(message), stored.get("metadata"), changed)
        fold.last = last
        return fold

    def set_status(
        self,
        state: a2a.TaskState,
        status: bytes,
        message: bytes | None,
        metadata: dict[str, Any] | None,
        changed: int,
    ) -> None:
        if self._message is not None:
            self._settle_message(self._message)
        self.state = state
        self._status = status
        self._message = message
        self.changed = changed
        if metadata:
            self.metadata = {**(self.metadata or {}), **metadata}

    def add_message(self, message: bytes) -> None:
        if self._message is not None:
            self._settle_message(self._message)
        self.history.append(message)

    def _settle_message(self, message: bytes) -> None:
        self.history.append(message)
        self._message = None

    def put_text(self, artifact_id: str, head: bytes, text: str, *, append: bool) -> None:
        self._artifact(artifact_id, head, append).continue_text(text)

    def put_parts(self, artifact_id: str, head: bytes, parts: Sequence[bytes], *, append: bool) -> None:
        artifact = self._artifact(artifact_id, head, append)
        if append:
            artifact.extend(parts)
        else:
            artifact.parts = list(parts)

    def _artifact(self, artifact_id: str, head: bytes, append: bool) -> _Artifact:
        artifact = self._artifacts.get(artifact_id)
        if artifact is None or not append:
            artifact = self._artifacts[artifact_id] = _Artifact(head)
        return artifact

    def text(self, artifact_id: str) -> str:
        """The plain text of one artifact; "" when there is none."""
        artifact = self._artifacts.get(artifact_id)
        if artifact is None:
            return ""
        return "".join([*(_plain_text(part) or "" for part in artifact.parts), *artifact.text])

    def artifacts(self) -> list[bytes]:
        """The JSON of every artifact, in the order in which they first came."""
        return [artifact.to_json() for artifact in self._artifacts.values()]

    def to_json(self, history_length: int | None = None, *, artifacts: bool = True) -> bytes:
        """The JSON of the `Task`.

        Args:
            history_length: at most that many messages, the newest; None is all, 0 leaves the field out. Spec 3.2.4.
            artifacts: False leaves artifacts out. Spec 3.1.4.
        """
        whole = history_length is None and artifacts
        if whole and self._sealed is not None:
            return self._sealed
        pieces = [self._head, b',"status":', self._status]
        if artifacts and self._artifacts:
            pieces += (b',"artifacts":[', b",".join(self.artifacts()), b"]")
        if self.history and history_length != 0:
            history = self.history if history_length is None else self.history[-history_length:]
            pieces += (b',"history":[', b",".join(history), b"]")
        if self.metadata:
            pieces += (b',"metadata":', to_json(self.metadata))
        pieces.append(b"}")
        task = b"".join(pieces)
        if whole and self.state.terminal:
            self._sealed = task
        return task


def _text_part(pieces: Sequence[str]) -> bytes:
    return _TEXT + to_json("".join(pieces)) + b"}"


def _plain_text(part: bytes) -> str | None:
    """The text of a part that is text and nothing else."""
    if not part.startswith(_TEXT):
        return None
    fields = from_json(part)
    return fields["text"] if len(fields) == 1 else None
