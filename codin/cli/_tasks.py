"""`codin tasks`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import click

from codin import a2a
from codin.cli._connection import Connection, connection_options
from codin.cli._exits import Exit
from codin.cli._lines import numbered_line
from codin.cli._states import STATES, state_name
from codin.cli._task_view import event_line, show_task, show_tasks
from codin.cli._terminal import say, write
from codin.client import Event, Peer

__all__ = ["tasks"]

_PAGE = 50


class _ListsByDefault(click.Group):
    """`codin tasks URL` and `codin tasks URL --json` are `codin tasks URL list …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = {"-h", "--help"} & set(args[:2])
        if args and not asks_help and (len(args) == 1 or args[1].startswith("-")):
            args = [args[0], "list", *args[1:]]
        return super().parse_args(ctx, args)


@click.group(cls=_ListsByDefault, no_args_is_help=False, subcommand_metavar="[COMMAND] [ARGS]...")
@click.argument("url")
@click.pass_context
def tasks(ctx: click.Context, url: str) -> None:
    """The tasks of the agent at URL: list them, get, cancel or follow one.

    \b
    codin tasks http://127.0.0.1:8000
    codin tasks http://127.0.0.1:8000 --state input-required
    codin tasks http://127.0.0.1:8000 get    ID
    codin tasks http://127.0.0.1:8000 cancel ID
    codin tasks http://127.0.0.1:8000 tail   ID --from 7
    """
    ctx.obj = url


@tasks.command("list")
@click.option("--context", "context_id", metavar="ID", help="Only of this conversation.")
@click.option("--state", type=click.Choice(list(STATES)), help="Only in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the Task objects, one a line.")
@connection_options
@click.pass_obj
def list_(
    url: str, context_id: str | None, state: str | None, limit: int, as_json: bool, connection: Connection
) -> int:
    """List tasks, the one that changed last first. This is what happens without a command, too."""
    found, more = anyio.run(_list, connection, url, context_id, STATES[state] if state else None, limit)
    if as_json:
        for task in found:
            write(_json(task))
    elif found:
        show_tasks(found)
    else:
        say("no tasks", "dim")
    if more:
        say(f"there are more than {limit}: --limit shows them", "dim")
    return 0


async def _list(
    connection: Connection, url: str, context_id: str | None, state: a2a.TaskState | None, limit: int
) -> tuple[list[a2a.Task], bool]:
    found: list[a2a.Task] = []
    async with connection.open(url) as peer:
        page = min(limit + 1, _PAGE)
        async for task in peer.list(context_id=context_id, status=state, page_size=page, include_artifacts=True):
            if len(found) == limit:
                return found, True
            found.append(task)
    return found, False


@tasks.command()
@click.argument("task_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the Task object on one line.")
@connection_options
@click.pass_obj
def get(url: str, task_id: str, as_json: bool, connection: Connection) -> int:
    """Show a task: its state, what was said, and what came of it."""
    task = anyio.run(_get, connection, url, task_id)
    write(_json(task)) if as_json else show_task(task)
    return 0


async def _get(connection: Connection, url: str, task_id: str) -> a2a.Task:
    async with connection.open(url) as peer:
        return await peer.get(task_id)


@tasks.command()
@click.argument("task_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the Task object on one line.")
@connection_options
@click.pass_obj
def cancel(url: str, task_id: str, as_json: bool, connection: Connection) -> int:
    """Cancel a task."""
    task = anyio.run(_cancel, connection, url, task_id)
    write(_json(task) if as_json else f"{task.id} {state_name(task.status.state)}\n")
    return 0


async def _cancel(connection: Connection, url: str, task_id: str) -> a2a.Task:
    async with connection.open(url) as peer:
        return await peer.cancel(task_id)


@tasks.command()
@click.argument("task_id", metavar="ID")
@click.option("--from", "first", type=click.IntRange(min=1), metavar="N", help="Begin with event N.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as objects with their number, one a line.")
@connection_options
@click.pass_obj
def tail(url: str, task_id: str, first: int | None, as_json: bool, connection: Connection) -> int:
    """Print every event of a task with its number, from the first one until the task has ended.

    Ctrl-C stops watching; the task goes on. Numbers are given by peers that can resume, as codin's servers do; from
    others comes the task as it is, and what happens from now on.
    """
    watch = _Watch(first, as_json)
    try:
        anyio.run(watch.follow, connection.open(url), task_id)
    except KeyboardInterrupt:
        rest = "" if watch.seen is None else f" --from {watch.seen + 1}"
        say(f"the task goes on: codin tasks {url} tail {task_id}{rest}", "dim")
        return Exit.INTERRUPTED
    return 0


class _Watch:
    """Prints events. `seen` is the number of the last one."""

    def __init__(self, first: int | None, as_json: bool) -> None:
        self.seen: int | None = None
        self._first = first
        self._as_json = as_json

    async def follow(self, peer: Peer, task_id: str) -> None:
        async with peer:
            try:
                await self._print(peer.subscribe(task_id, after=(self._first or 1) - 1))
            except a2a.UnsupportedOperation as error:
                if self._first is not None:
                    raise a2a.UnsupportedOperation(error.message, hint="leave out --from") from None
                await self._print(peer.subscribe(task_id))  # a peer without numbers

    async def _print(self, events: AsyncGenerator[Event]) -> None:
        async with aclosing(events):
            async for event in events:
                write(f"{numbered_line(event.value, event.number)}\n" if self._as_json else event_line(event))
                self.seen = event.number


def _json(task: a2a.Task) -> str:
    return json.dumps(task.to_dict(), ensure_ascii=False) + "\n"
