"""The answer to one message."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from codin import a2a
from codin.client._fold import spoken

__all__ = ["Reply"]

_USAGE = "urn:codin:a2a:usage:v1"  # in the metadata of tasks


class Reply:
    """What a peer answered: a task, or a message without one.

    Attributes:
        task: the task, as the peer described it.
        message: the message, when the peer answered with one instead.
        value: whichever of the two it is.
    """

    def __init__(self, value: a2a.Task | a2a.Message) -> None:
        self.task: a2a.Task | None = value if isinstance(value, a2a.Task) else None
        self.message: a2a.Message | None = value if isinstance(value, a2a.Message) else None
        self.value: a2a.Task | a2a.Message = value

    @property
    def state(self) -> a2a.TaskState | None:
        """The state of the task; None for a message."""
        return self.task.status.state if self.task is not None else None

    @property
    def task_id(self) -> str | None:
        """What to name to go on with this task."""
        return self.value.id if isinstance(self.value, a2a.Task) else self.value.task_id

    @property
    def context_id(self) -> str | None:
        """What to name to begin another task in the same conversation."""
        return self.value.context_id

    @property
    def text(self) -> str:
        """The words of the answer.

        The status message when the task asks for something or did not end well; else the text of the artifacts (one
        line break between two of them); else the status message.
        """
        if isinstance(self.value, a2a.Message):
            return a2a.text_of(self.value.parts)
        texts = [a2a.text_of(artifact.parts) for artifact in self.value.artifacts]
        return spoken(self.value.status, texts) or "\n".join(filter(None, texts))

    @property
    def data(self) -> JsonValue:
        """The newest piece of structured data; None when there is none."""
        newest: JsonValue = None
        for part in self._parts():
            if part.kind == "data":
                newest = part.data
        return newest

    @property
    def usage(self) -> JsonValue:
        """What the task cost, as the agent counts it, e.g. `{"total_tokens": 42}`; None when it does not say."""
        return (self.task.metadata or {}).get(_USAGE) if self.task is not None else None

    @property
    def files(self) -> list[a2a.Part]:
        """Every part that is a file, by its bytes (`raw`) or its address (`url`)."""
        return [part for part in self._parts() if part.raw is not None or part.url is not None]

    def _parts(self) -> Iterator[a2a.Part]:
        if isinstance(self.value, a2a.Message):
            yield from self.value.parts
            return
        for artifact in self.value.artifacts:
            yield from artifact.parts
        if self.value.status.message is not None:
            yield from self.value.status.message.parts

    def __repr__(self) -> str:
        return f"Reply(state={self.state!r}, task_id={self.task_id!r}, text={self.text!r})"
