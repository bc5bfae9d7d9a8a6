"""`codin call`."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import click

from codin import a2a
from codin.cli._answer import Answer
from codin.cli._ask import ask_person, tell_question
from codin.cli._connection import Connection, connection_options, keys_option, retry_option
from codin.cli._ending import Ending
from codin.cli._exits import Exit
from codin.cli._limits import Allowed, limit_options
from codin.cli._recent import recent_context, remember_context
from codin.cli._terminal import errors, interactive
from codin.cli._turn import Outgoing, cancel_task, take_turn
from codin.client import Peer
from codin.errors import ConfigError, TransportError

__all__ = ["call"]


@click.command()
@click.argument("url")
@click.argument("text", required=False)
@click.option("--file", "files", type=click.Path(exists=True, dir_okay=False), multiple=True, help="Attach a file.")
@click.option("--data", metavar="JSON", help="Send a JSON value beside the text, or instead of it.")
@click.option("--context", "context_id", metavar="ID", help="Go on with a conversation.")
@click.option("--continue", "continues", is_flag=True, help="Go on with the last conversation with this URL.")
@click.option("--task", "task_id", metavar="ID", help="Go on with a task: answer its question.")
@click.option("--out", type=click.Path(file_okay=False), metavar="DIR", help="Save the files of the answer there.")
@click.option("--stream/--no-stream", default=True, help="Show the answer while it comes, or all of it at its end.")
@click.option("--json", "as_json", is_flag=True, help="Print the protocol's objects, one a line.")
@click.option("-v", "--verbose", is_flag=True, help="Say which task and context it was, as on a terminal.")
@limit_options
@retry_option
@keys_option
@connection_options
def call(
    url: str,
    text: str | None,
    files: tuple[str, ...],
    data: str | None,
    context_id: str | None,
    continues: bool,
    task_id: str | None,
    out: str | None,
    stream: bool,
    as_json: bool,
    verbose: bool,
    allowed: Allowed,
    connection: Connection,
) -> int:
    """Send TEXT to the agent at URL, which may be a name that codin find shows, and stream the answer.

    TEXT is read from standard input where it is -.

    The answer goes to standard output, what the agent says about its work to standard error. When it asks something,
    you are asked, or, where nobody is at a terminal, told how to answer. Ctrl-C cancels the task.

    \b
    codin call http://127.0.0.1:8000 "hello"
    codin call http://127.0.0.1:8000 "and now?" --continue
    codin call http://127.0.0.1:8000 - < long.txt
    codin call http://127.0.0.1:8000 "Sum it up" --file report.pdf --out results
    codin call http://127.0.0.1:8000 "Plan a trip" --deadline 5m --budget tokens=20000
    codin call http://127.0.0.1:8000 -- -5
    """
    if continues and (context_id or task_id):
        raise click.UsageError("--continue goes without --context and --task", click.get_current_context())
    if continues:
        context_id = _last_context(url)
    message = Outgoing(_content(text, data, files), files, context_id, stream, allowed)
    answer = Answer(as_json=as_json, folder=Path(out) if out else None, task_id=task_id)
    ending = Ending(connection, url, answer, names_ids=(verbose or sys.stderr.isatty()) and not as_json)
    asks = interactive() and not as_json
    try:
        finished = _converse(connection, url, message, answer, asks=asks)
    except (TransportError, a2a.Overloaded):
        ending.lost()
        raise
    except a2a.A2AError as error:
        ending.reword(error)
        raise
    if answer.context_id is not None:
        remember_context(url, answer.context_id)
    if not finished:
        ending.left()
        return Exit.INTERRUPTED
    if not as_json and (answer.exit is Exit.AUTH or (answer.exit is Exit.INPUT and not asks)):
        tell_question(answer.question)
    ending.tell()
    return answer.exit


def _converse(connection: Connection, url: str, message: Outgoing, answer: Answer, *, asks: bool) -> bool:
    """Take turns until nothing is asked any more. False when the person left before."""
    while anyio.run(take_turn, connection.open(url), message, answer):
        if answer.exit is not Exit.INPUT or not asks:
            return True
        reply = _ask(connection, url, answer)
        if reply is None:
            return True
        message = Outgoing([reply], stream=message.stream, allowed=message.allowed)
        answer.next_turn()
    return False


def _last_context(url: str) -> str:
    context_id = recent_context(url)
    if context_id is None:
        raise ConfigError(f"no conversation with {url} is remembered", hint="--context ID names one")
    return context_id


def _content(text: str | None, data: str | None, files: tuple[str, ...]) -> list[str | a2a.Part]:
    """The parts of the message before its files."""
    context = click.get_current_context()
    if text == "-":
        given = sys.stdin.read()
        text = given if given.strip() else None
        if text is None and data is None and not files:
            raise click.UsageError("standard input is empty", context)
    parts: list[str | a2a.Part] = [text] if text else []
    if data is not None:
        try:
            parts.append(a2a.Part(data=json.loads(data)))
        except ValueError as error:
            raise click.UsageError(f"--data is no JSON: {error}", context) from None
    if not parts and not files:
        hint = "- in the place of TEXT reads standard input"
        raise ConfigError("there is nothing to send: give TEXT, --data or --file", hint=hint)
    return parts


def _ask(connection: Connection, url: str, answer: Answer) -> str | a2a.Part | None:
    """What the person answers; None when it is not now, or never because the task is canceled."""
    try:
        return ask_person(answer.question)
    except KeyboardInterrupt:
        errors().print()
        if answer.task_id is not None:
            task = anyio.run(_cancel, connection.open(url), answer.task_id)
            answer.status = answer.status if task is None else task.status
        return None


async def _cancel(opening: AbstractAsyncContextManager[Peer], task_id: str) -> a2a.Task | None:
    async with opening as peer:
        return await cancel_task(peer, task_id)
