"""Tasks and their events for eyes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from codin import a2a
from codin.cli._bill import bill_line
from codin.cli._questions import told
from codin.cli._states import state_name
from codin.cli._terminal import plain, results, show, write
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
_GAP = "  "
_FEWEST = 8  # characters of words that say something
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (float("inf"), 86400, "d"))


def show_tasks(tasks: Sequence[a2a.Task]) -> None:
    """A table on a terminal; for a program a line per task: id, state, time, context, with tabs between."""
    if not sys.stdout.isatty():
        for task in tasks:
            time = task.status.timestamp
            fields = [task.id, state_name(task.status.state), time.isoformat() if time else "", task.context_id or ""]
            write("\t".join(map(plain, fields)) + "\n")
        return
    rows = [("task", Text("state"), "since", "last words")]
    rows += [
        (plain(task.id), _state(task.status.state), _age(task.status.timestamp), _one_line(_last_words(task)))
        for task in tasks
    ]
    console = results()
    widths = [max(map(cell_len, (str(cell) for cell in column))) for column in list(zip(*rows, strict=True))[:3]]
    # An id that is cut is no id: on a narrow terminal the words give way, then the time, and a line that is still
    # too long is broken by the terminal.
    left = console.width - sum(widths) - 3 * len(_GAP)
    for number, (task_id, state, age, words) in enumerate(rows):
        state.pad_right(widths[1] - state.cell_len)
        line = Text.assemble(set_cell_size(task_id, widths[0]), _GAP, state)
        if left >= -len(_GAP):
            line.append(_GAP + set_cell_size(age, widths[2]))
        if left >= _FEWEST:
            last = Text(words, "dim")
            last.truncate(left, overflow="ellipsis")
            line.append(_GAP).append_text(last)
        line.rstrip()
        console.print(line, style="" if number else "dim", overflow="ignore", crop=False)


def show_task(task: a2a.Task) -> None:
    """What is to be known about one task."""
    console = results()
    console.print(Text.assemble((plain(task.id), "bold"), "  ", _state(task.status.state)))
    facts = [f"since {_moment(task.status.timestamp)}"] if task.status.timestamp else []
    facts += [f"context {task.context_id}"] if task.context_id else []
    if facts:
        console.print(Text(plain(", ".join(facts)), "dim"))
    if bill := bill_line(task.metadata):
        console.print(Text(plain(bill), "dim"))
    said = [*task.history, *_unsaid(task)]
    for message in said:
        if message.role is a2a.Role.USER:
            _block("you", _content(message.parts), "cyan")
        else:
            _block("agent", "\n".join(_lines(message)), "cyan")
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
                for words, lines in told(status.message):
                    yield _one_line(words, quoted=True)
                    yield from (f"({_one_line(line)})" for line in lines)
                yield from map(_shown, _files(status.message))
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


def _lines(message: a2a.Message) -> Iterator[str]:
    """What an agent says, with a line for each thing that goes with it: the answers it would take, a file."""
    for words, lines in told(message):
        yield words
        yield from lines
    yield from map(_shown, _files(message))


def _files(message: a2a.Message) -> list[a2a.Part]:
    return [part for part in message.parts if part.kind not in {"text", "data"}]


def _content(parts: Iterable[a2a.Part]) -> str:
    """Parts as text; of a file only that it is there."""
    content, before = "", "text"
    for part in parts:
        apart = content and not content.endswith("\n") and (part.kind, before) != ("text", "text")
        content += f"\n{_shown(part)}" if apart else _shown(part)
        before = part.kind
    return content


def _shown(part: a2a.Part) -> str:
    if part.kind == "text":
        return part.text or ""
    if part.kind == "data":
        return json.dumps(part.data, ensure_ascii=False)
    what = part.filename or part.media_type or "file"
    return f"[{what}: {part.url}]" if part.url else f"[{what}, {len(part.raw or b'')} bytes]"


def _block(title: str, text: str, style: str) -> None:
    results().print()
    show(title, style)
    show(text, indent=2)


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
