"""Showing an answer while it comes: its words and data as the result, everything around it on standard error."""

from __future__ import annotations

import json
import sys
from hashlib import blake2b
from pathlib import Path

from codin import a2a
from codin.cli._bill import bill_line
from codin.cli._exits import Exit
from codin.cli._lines import Value, line_of
from codin.cli._questions import words_of
from codin.cli._saving import saved_in
from codin.cli._terminal import say, write
from codin.client import Event

__all__ = ["Answer"]

_EXITS = {
    a2a.TaskState.COMPLETED: Exit.OK,
    a2a.TaskState.FAILED: Exit.TASK,
    a2a.TaskState.REJECTED: Exit.TASK,
    a2a.TaskState.CANCELED: Exit.TASK,
    a2a.TaskState.INPUT_REQUIRED: Exit.INPUT,
    a2a.TaskState.AUTH_REQUIRED: Exit.AUTH,
}
_ON_THE_WAY = {a2a.TaskState.WORKING, a2a.TaskState.COMPLETED}  # what these say is about the work, not the answer


class Answer:
    """One task's answer on the screen, over all turns of a conversation about it.

    Args:
        as_json: print the protocol objects instead, one a line.
        folder: where files are saved; None only tells of them.
        task_id: of a task that existed before: what it had already is not shown again.

    Attributes:
        task_id: of the task, once known.
        context_id: of its conversation.
        number: of the last event, from a peer that numbers them.
        status: the last one seen; None before that, and for an answer that is a message.
        bill: what the task has cost, as a line; "" when the peer does not say.
        unsaved: whether a file came that was only told of.
    """

    def __init__(self, *, as_json: bool = False, folder: Path | None = None, task_id: str | None = None) -> None:
        self.task_id = task_id
        self.context_id: str | None = None
        self.number: int | None = None
        self.status: a2a.TaskStatus | None = None
        self.bill = ""
        self.unsaved = False
        self._as_json = as_json
        self._folder = folder
        self._past = task_id is not None
        self._shown: set[bytes] = set()
        self._open_line = False
        self._artifact: str | None = None

    @property
    def exit(self) -> Exit:
        """How a command that ends now should end."""
        return Exit.OK if self.status is None else _EXITS.get(self.status.state, Exit.OK)

    @property
    def words(self) -> str:
        """What the last status says: the question of a task that asks, the reason of one that failed."""
        return _words(self.status)

    @property
    def question(self) -> a2a.Message | None:
        """What the task asks; None when it asks without a word."""
        return self.status.message if self.status is not None else None

    def show(self, event: Event) -> None:
        """Show one event of a stream."""
        self.number = event.number
        if event.replaced and not self._as_json:
            self.end_line()
            say("The agent takes back what it has written; its answer begins again:", "yellow")
        self._take(event.value, event.text)

    def show_reply(self, value: a2a.Task | a2a.Message) -> None:
        """Show an answer that came in one piece."""
        if isinstance(value, a2a.Message):
            text = a2a.text_of(value.parts)
        else:
            text = "\n".join(filter(None, (a2a.text_of(artifact.parts) for artifact in value.artifacts)))
            if not text and value.status.state is a2a.TaskState.COMPLETED:
                text = _words(value.status)
            self._past = False  # a reply has no past: what the task is now is the answer
        self._take(value, text)

    def next_turn(self) -> None:
        """The next thing to come is the task as it is now."""
        self._past = True

    def end_line(self) -> None:
        """Close the line of text that is being written."""
        if self._open_line:
            write("\n")
            self._open_line = False

    def _take(self, value: Value, text: str) -> None:
        if isinstance(value, (a2a.TaskStatusUpdateEvent, a2a.TaskArtifactUpdateEvent)):
            self.task_id = value.task_id
        elif isinstance(value, a2a.Task):
            self.task_id = value.id
        self.context_id = value.context_id or self.context_id
        self.bill = bill_line(value.metadata) or self.bill
        status = value.status if isinstance(value, (a2a.Task, a2a.TaskStatusUpdateEvent)) else None
        past, self._past = self._past and isinstance(value, a2a.Task) and not value.status.state.terminal, False
        if self._as_json:
            write(line_of(value) + "\n")
        elif past and isinstance(value, a2a.Task):
            self._keep(value)
        else:
            self._show(value, text, status)
        if status is not None and not (past and status.state.interrupted):
            self.status = status

    def _keep(self, task: a2a.Task) -> None:
        """Note what a task had before this turn."""
        for artifact in task.artifacts:
            self._shown.update(_key(artifact, part) for part in artifact.parts if part.kind != "text")

    def _show(self, value: Value, text: str, status: a2a.TaskStatus | None) -> None:
        if status is not None and status.state is not a2a.TaskState.COMPLETED:
            text = text.removesuffix(_words(status))  # a question or a reason is not the result
        if isinstance(value, a2a.TaskArtifactUpdateEvent) and text:
            if self._artifact not in (None, value.artifact.artifact_id):
                self.end_line()  # as in `Reply.text`
            self._artifact = value.artifact.artifact_id
        self._write(text)
        if isinstance(value, a2a.Message):
            self._show_parts(a2a.Artifact(artifact_id=value.message_id, parts=value.parts))
        elif isinstance(value, a2a.TaskArtifactUpdateEvent):
            self._show_parts(value.artifact)
        elif isinstance(value, a2a.Task):
            for artifact in value.artifacts:
                self._show_parts(artifact)
        if status is not None and status.state in _ON_THE_WAY and _words(status) != text:
            self._aside(_words(status))

    def _write(self, text: str) -> None:
        if text:
            write(text)
            self._open_line = not text.endswith("\n")

    def _aside(self, text: str) -> None:
        """A dim line on standard error; on a screen that shows both, it does not go into the middle of a text."""
        if text:
            if sys.stdout.isatty() and sys.stderr.isatty():
                self.end_line()
            say(text, "dim")

    def _show_parts(self, artifact: a2a.Artifact) -> None:
        """Data and files, once each: an artifact may be told again as a whole."""
        for part in artifact.parts:
            if part.kind == "text" or (key := _key(artifact, part)) in self._shown:
                continue
            self._shown.add(key)
            if part.kind == "data":
                self._aside(f"{artifact.name}:" if artifact.name else "")
                self.end_line()
                write(json.dumps(part.data, ensure_ascii=False, indent=2) + "\n")
            elif part.kind == "url":
                self.end_line()
                write(f"{part.url}\n")
                self._aside(f"↑ the address of {_described(artifact, part)}")
            else:
                self._show_file(artifact, part, part.raw or b"")

    def _show_file(self, artifact: a2a.Artifact, part: a2a.Part, content: bytes) -> None:
        described = f"{_described(artifact, part)}, {_size(len(content))}"
        if self._folder is None:
            self.unsaved = True
            self._aside(f"file: {described}")
        else:
            path = saved_in(self._folder, part.filename or artifact.name, content)
            self._aside(f"file: {described}, saved as {path}")


def _words(status: a2a.TaskStatus | None) -> str:
    return words_of(status.message) if status is not None else ""


def _key(artifact: a2a.Artifact, part: a2a.Part) -> bytes:
    return blake2b(artifact.artifact_id.encode() + b"\0" + part.to_json()).digest()


def _described(artifact: a2a.Artifact, part: a2a.Part) -> str:
    name = part.filename or artifact.name or artifact.artifact_id
    return f"{name} ({part.media_type})" if part.media_type else name


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
