"""`codin call`."""

from __future__ import annotations

import json
import select
import shlex
import sys
from pathlib import Path

import anyio
import click

from codin import a2a
from codin.cli._answer import Answer
from codin.cli._connection import Connection, connection_options
from codin.cli._exits import Exit
from codin.cli._states import state_name
from codin.cli._terminal import errors, interactive, say
from codin.cli._turn import Outgoing, cancel_task, take_turn
from codin.client import Peer
from codin.errors import TransportError

__all__ = ["call"]

_LOOK = 0.2  # seconds


@click.command()
@click.argument("url")
@click.argument("text", required=False)
@click.option("--file", "files", type=click.Path(exists=True, dir_okay=False), multiple=True, help="Attach a file.")
@click.option("--data", metavar="JSON", help="Send a JSON value beside the text, or instead of it.")
@click.option("--context", "context_id", metavar="ID", help="Go on with a conversation.")
@click.option("--task", "task_id", metavar="ID", help="Go on with a task: answer its question.")
@click.option("--out", type=click.Path(file_okay=False), metavar="DIR", help="Save the files of the answer there.")
@click.option("--stream/--no-stream", default=True, help="Show the answer while it comes, or all of it at its end.")
@click.option("--json", "as_json", is_flag=True, help="Print the protocol's objects, one a line.")
@connection_options
def call(
    url: str,
    text: str | None,
    files: tuple[str, ...],
    data: str | None,
    context_id: str | None,
    task_id: str | None,
    out: str | None,
    stream: bool,
    as_json: bool,
    connection: Connection,
) -> int:
    """Send TEXT to the agent at URL and stream the answer; - reads the text from standard input.

    The answer goes to standard output, what the agent says about its work to standard error. When it asks something,
    you are asked, or, where nobody is at a terminal, told how to answer. Ctrl-C cancels the task.

    \b
    codin call http://127.0.0.1:8000 "hello"
    codin call http://127.0.0.1:8000 - < long.txt
    codin call http://127.0.0.1:8000 "Sum it up" --file report.pdf --out results
    """
    message = Outgoing(_content(text, data, files), files, context_id, stream)
    answer = Answer(as_json=as_json, folder=Path(out) if out else None, task_id=task_id)
    asks = interactive() and not as_json
    while True:
        try:
            finished = anyio.run(take_turn, connection.open(url), message, answer)
        except TransportError:
            if answer.task_id is not None:
                say(f"the task may go on: codin tasks {url} tail {answer.task_id}", "dim")
            raise
        if not finished:
            return _left(answer, url)
        if answer.exit in (Exit.INPUT, Exit.AUTH) and not as_json:
            _tell_question(answer)
        if answer.exit is not Exit.INPUT or not asks:
            break
        reply = _ask(connection, url, answer)
        if reply is None:
            break
        message = Outgoing([reply], stream=stream)
        answer.next_turn()
    _tell_ending(answer, url)
    return answer.exit


def _content(text: str | None, data: str | None, files: tuple[str, ...]) -> list[str | a2a.Part]:
    """The parts of the message before its files."""
    if text == "-":
        given = sys.stdin.read()
        text = given if given.strip() else None
        if text is None and data is None and not files:
            raise click.UsageError("standard input is empty", click.get_current_context())
    parts: list[str | a2a.Part] = [text] if text else []
    if data is not None:
        try:
            parts.append(a2a.Part(data=json.loads(data)))
        except ValueError as error:
            words = f"--data is no JSON: {error}"
            raise click.UsageError(words, click.get_current_context()) from None
    if not parts and not files:
        raise click.UsageError("there is nothing to send: give TEXT, --data or --file", click.get_current_context())
    return parts


def _ask(connection: Connection, url: str, answer: Answer) -> str | None:
    """What the person answers; None when it is not now, or never because the task is canceled."""
    try:
        while True:
            errors().print("> ", end="", style="bold")
            line = _line()
            if not line:
                errors().print()
                return None
            if line.strip():
                return line.rstrip("\n")
            say("an answer, please; Ctrl-D answers later, Ctrl-C cancels the task", "dim")
    except KeyboardInterrupt:
        errors().print()
        if answer.task_id is not None:
            task = anyio.run(_cancel, connection.open(url), answer.task_id)
            answer.status = answer.status if task is None else task.status
        return None


def _line() -> str:
    # A signal that comes just before a blocking read begins does not end it; looking now and then does.
    while not select.select([sys.stdin], [], [], _LOOK)[0]:
        continue
    return sys.stdin.readline()


async def _cancel(peer: Peer, task_id: str) -> a2a.Task | None:
    async with peer:
        return await cancel_task(peer, task_id)


def _tell_question(answer: Answer) -> None:
    say(answer.words, "bold")
    if answer.form:
        say(answer.form, "dim")


def _left(answer: Answer, url: str) -> int:
    tasks = f"codin tasks {url}" + (f" get {answer.task_id}" if answer.task_id else "")
    say(f"left; the task may go on: {tasks}", "dim")
    return Exit.INTERRUPTED


def _tell_ending(answer: Answer, url: str) -> None:
    """What has to be known about a task that is not simply done."""
    status = answer.status
    if status is None or status.state is a2a.TaskState.COMPLETED:
        return
    state = state_name(status.state)
    if status.state.interrupted:
        wanted = "a credential" if answer.exit is Exit.AUTH else "an answer"
        say(f"{state}: task {answer.task_id} waits for {wanted}", "yellow")
        say(f"  codin call {shlex.quote(url)} --task {answer.task_id} TEXT", "yellow")
    elif status.state.terminal:
        say(f"{state}: {answer.words}" if answer.words else f"the task is {state}", "red")
    else:
        say(f"{state}: the task goes on", "yellow")
        say(f"  codin tasks {shlex.quote(url)} tail {answer.task_id}", "yellow")
