"""What is said when a call is over: how the task stands, and the command that goes on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from codin import a2a
from codin.cli._answer import Answer
from codin.cli._connection import Connection
from codin.cli._exits import Exit
from codin.cli._questions import questions_of
from codin.cli._states import state_name
from codin.cli._terminal import say

__all__ = ["Ending"]

_LIMITS = {"CALL_EXPIRED": "--deadline gives it longer", "CALL_BUDGET_SPENT": "--budget gives it more"}


class Ending:
    """The last words of `codin call`, on standard error.

    Args:
        names_ids: say which task and context it was, also when nothing else is to be said.
    """

    def __init__(self, connection: Connection, url: str, answer: Answer, *, names_ids: bool) -> None:
        self._connection = connection
        self._url = url
        self._answer = answer
        self._names_ids = names_ids

    def tell(self) -> None:
        """The end that a turn came to."""
        answer, status = self._answer, self._answer.status
        if answer.unsaved:
            again = self._command("tasks", "get", answer.task_id, "--out", "DIR") if answer.task_id else "--out DIR"
            say(f"to save it: {again}", "dim")
        if status is not None and status.state.interrupted:
            wanted = "a credential" if answer.exit is Exit.AUTH else "an answer"
            say(f"{state_name(status.state)}: task {answer.task_id} waits for {wanted}", "yellow")
            say(f"  {self._command('call', '--task', str(answer.task_id), *_answer_words(status))}", "yellow")
            return
        if status is not None and not status.state.terminal:
            say(f"{state_name(status.state)}: the task goes on", "yellow")
            say(f"  {self._tail()}", "yellow")
            return
        if status is not None and status.state is not a2a.TaskState.COMPLETED:
            state = state_name(status.state)
            say(f"{state}: {answer.words}" if answer.words else f"the task is {state}", "red")
        if self._names_ids and answer.bill:
            say(answer.bill, "dim")
        if self._names_ids and (answer.task_id or answer.context_id):
            say("; ".join(self._ids()), "dim")

    def _ids(self) -> Iterator[str]:
        # The peer has made them up, and they may be pasted into a shell.
        if self._answer.task_id:
            yield f"task {shlex.quote(self._answer.task_id)}"
        if self._answer.context_id:
            yield f"to go on: --continue, or --context {shlex.quote(self._answer.context_id)}"

    def left(self) -> None:
        """The person did not wait for the end."""
        words = ("get", self._answer.task_id) if self._answer.task_id else ()
        say(f"left; the task may go on: {self._command('tasks', *words)}", "dim")

    def lost(self) -> None:
        """The peer cannot be reached any more."""
        if self._answer.task_id is not None:
            say(f"the task may go on: {self._tail()}", "dim")

    def reword(self, error: a2a.A2AError) -> None:
        """The peer's hints speak of fields; here it is options that can be given or left out."""
        if error.reason in _LIMITS:
            error.hint = _LIMITS[error.reason]
        elif error.reason == "TASK_BUSY":
            error.hint = f"wait for it: {self._tail()}"
        elif error.hint is not None and "taskId" in error.hint:
            error.hint = "leave out --task; --context ID goes on with the conversation"
        elif error.hint is not None and "contextId" in error.hint:
            error.hint = "leave out --context"

    def _tail(self) -> str:
        number = self._answer.number
        begin = () if number is None else ("--from", str(number + 1))
        return self._command("tasks", "tail", str(self._answer.task_id), *begin)

    def _command(self, name: str, *words: str) -> str:
        return self._connection.command(name, self._url, *words)


def _answer_words(status: a2a.TaskStatus) -> tuple[str, ...]:
    """How an answer is given on the command line: several by their ids."""
    questions = questions_of(status.message)
    if len(questions) < 2:
        return ("TEXT",)
    return "--data", json.dumps({question.id: "…" for question in questions}, ensure_ascii=False)
