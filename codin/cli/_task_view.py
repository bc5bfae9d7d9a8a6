"""Tasks and their events for eyes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from codin import a2a
from codin.cli._states import state_name
from codin.cli._terminal import plain, results, write
from codin.client import Event

__all__ = ["event_line", "show_task", "show_tasks"]

_STYLES = {
    a2a.TaskState.COMPLETED: "green",
    a2a.TaskState.FAILED: "red",
    a2a.TaskState.REJECTED: "red",
    a2a.TaskState.CANCELED: "dim",
    a2a.TaskState.INPUT_REQUIRED: "yellow",
    a2a.TaskState.AUTH_REQUIRED: "yellow",
}
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (float("inf"), 86400, "d"))


def show_tasks(tasks: Sequence[a2a.Task]) -> None:
    """A table on a terminal; for a program a line per task: id, state, time, context, with tabs between."""
    if not sys.stdout.isatty():
        for task in tasks:
            time = task.status.timestamp
            fields = [task.id, state_name(task.status.state), time.isoformat() if time else "", task.context_id or ""]
            write("\t".join(map(plain, fields)) + "\n")
        return
    rows = [(plain(task.id), task.status.state, _age(task.status.timestamp), _last_words(task)) for task in tasks]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    # An id that is cut is no id: what gives way on a narrow terminal is the words.
    table.add_column("task", no_wrap=True, min_width=max(len(row[0]) for row in rows))
    table.add_column("state", no_wrap=True, min_width=max(len(state_name(row[1])) for row in rows))
    table.add_column("since", no_wrap=True, min_width=max(len(row[2]) for row in rows))
    table.add_column("last words", no_wrap=True, overflow="ellipsis")
    for task_id, state, age, words in rows:
        table.add_row(Text(task_id), _state(state), age, Text(_one_line(words), "dim"))
    results().print(table, soft_wrap=False)


def show_task(task: a2a.Task) -> None:
    """What is to be known about one task."""
    console = results()
    console.print(Text.assemble((plain(task.id), "bold"), "  ", _state(task.status.state)))
    facts = [f"since {_moment(task.status.timestamp)}"] if task.status.timestamp else []
    facts += [f"context {task.context_id}"] if task.context_id else []
    if facts:
        console.print(Text(plain(", ".join(facts)), "dim"))
    said = [*task.history, *_unsaid(task)]
    for message in said:
        _block("you" if message.role is a2a.Role.USER else "agent", _content(message.parts), "cyan")
    for artifact in task.artifacts:
        _block(artifact.name or artifact.artifact_id, _content(artifact.parts), "green")


def event_line(event: Event) -> str:
    """One event of a log on one line."""
    number = "    –" if event.number is None else f"{event.number:>5}"
    return f"{number}  {' '.join(_told(event.value))}\n"


def _told(value: object) -> Iterator[str]:
    match value:
        case a2a.TaskArtifactUpdateEvent(artifact=artifact):
            yield f"{'artifact':<8} {plain(artifact.name or artifact.artifact_id)}{' +' if value.append else ''}"
            yield _one_line(_content(artifact.parts), quoted=True)
            if value.last_chunk:
                yield "(last)"
        case a2a.TaskStatusUpdateEvent(status=status) | a2a.Task(status=status):
            yield f"{'task' if isinstance(value, a2a.Task) else 'status':<8}"
            yield state_name(status.state)
            if status.message is not None:
                yield _one_line(_content(status.message.parts), quoted=True)
            if isinstance(value, a2a.Task) and value.artifacts:
                yield f"with {len(value.artifacts)} artifacts"
        case a2a.Message():
            yield f"{'message':<8}"
            yield _one_line(_content(value.parts), quoted=True)
        case _:
            pass


def _unsaid(task: a2a.Task) -> list[a2a.Message]:
    """The status message, unless the history has it already."""
    message = task.status.message
    if message is None or any(message.message_id == said.message_id for said in task.history):
        return []
    return [message]


def _last_words(task: a2a.Task) -> str:
    """What tells one task from another at a glance."""
    said = [task.status.message.parts] if task.status.message is not None else []
    said += [artifact.parts for artifact in reversed(task.artifacts)]
    said += [message.parts for message in reversed(task.history)]
    return next((text for parts in said if (text := a2a.text_of(parts).strip())), "")


def _content(parts: Iterable[a2a.Part]) -> str:
    """Parts as text; of a file only that it is there."""
    return "".join(_shown(part) for part in parts)


def _shown(part: a2a.Part) -> str:
    if part.kind == "text":
        return part.text or ""
    if part.kind == "data":
        return json.dumps(part.data, ensure_ascii=False)
    what = part.filename or part.media_type or "file"
    return f"[{what}: {part.url}]" if part.url else f"[{what}, {len(part.raw or b'')} bytes]"


def _block(title: str, text: str, style: str) -> None:
    console = results()
    console.print()
    console.print(Text(plain(title), style))
    console.print(Padding(Text(plain(text)), (0, 0, 0, 2), expand=False), soft_wrap=False)


def _one_line(text: str, *, quoted: bool = False) -> str:
    return json.dumps(text, ensure_ascii=False) if quoted else plain(" ".join(text.split()))


def _state(state: a2a.TaskState) -> Text:
    return Text(state_name(state), _STYLES.get(state, ""))


def _moment(time: datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _age(time: datetime | None) -> str:
    """How long ago, roughly."""
    if time is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - time).total_seconds())
    _, unit, name = next(step for step in _STEPS if seconds < step[0])
    return f"{seconds / unit:.0f} {name} ago"
