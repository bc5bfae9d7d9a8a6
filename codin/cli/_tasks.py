"""`codin tasks`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from pathlib import Path

import anyio
import click

from codin import a2a
from codin.cli._connection import Connection, connection_options, keys_option, retry_option
from codin.cli._exits import Exit
from codin.cli._lines import numbered_line
from codin.cli._ordered import OrderedGroup
from codin.cli._saving import saved_in
from codin.cli._short_ids import with_whole_id
from codin.cli._states import STATES, state_name
from codin.cli._task_view import event_line, show_task, show_tasks
from codin.cli._terminal import say, write
from codin.client import Event, Peer
from codin.errors import TransportError

__all__ = ["tasks"]

_PAGE = 50
_JSON = "Print the protocol's objects, one a line."


class _Tasks(OrderedGroup):
    """`codin tasks URL get ID`: the URL stands before the command or behind it, and options anywhere.

    So each command has the URL as an argument, and what is done here is to find the command among the words.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        places = self._words(ctx, args)
        place = next((place for place in places[:2] if args[place] in self.commands), None)
        if place is not None:
            args = [args[place], *args[:place], *args[place + 1 :]]
        elif {"-h", "--help"} & set(args):
            args = ["--help"]
        elif len(places) > 1:
            wrong = next((args[place] for place in places[:2] if "://" not in args[place]), args[places[1]])
            raise click.UsageError(f"there is no command {wrong!r}; there are {', '.join(self.commands)}", ctx)
        else:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def _words(self, ctx: click.Context, args: list[str]) -> list[int]:
        """The places of what is neither an option nor the value of one."""
        takers = {
            option
            for command in self.commands.values()
            for parameter in command.get_params(ctx)
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for option in parameter.opts
        }
        end = args.index("--") if "--" in args else len(args)
        return [
            place
            for place, word in enumerate(args[:end])
            if not word.startswith("-") and (place == 0 or args[place - 1] not in takers)
        ]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of all commands: those that every one has, and what each has beside them."""
        self.format_commands(ctx, formatter)
        records = {
            name: [
                record
                for option in command.get_params(ctx)
                if isinstance(option, click.Option) and (record := option.get_help_record(ctx))
            ]
            for name, command in self.commands.items()
        }
        shared = [record for record in records["list"] if all(record in each for each in records.values())]
        for name, each in records.items():
            if own := [record for record in each if record not in shared]:
                with formatter.section(f"Options of {name}"):
                    formatter.write_dl(own)
        with formatter.section("Options of all"):
            formatter.write_dl(shared)


class _Command(click.Command):
    """Shows its usage as it is mostly written: the URL first."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        verb = str(self.name)
        words = " ".join(piece for piece in self.collect_usage_pieces(ctx) if piece not in {"[OPTIONS]", "URL"})
        formatter.write_usage("codin tasks", " ".join(filter(None, ["URL", verb, words, "[OPTIONS]"])))


@click.group(cls=_Tasks, no_args_is_help=False, subcommand_metavar="URL [COMMAND] [ID]")
def tasks() -> None:
    """The tasks of the agent at URL: list them, get, cancel or follow one.

    An ID may be cut short, to four characters or more, where it is clear which of the newest tasks is meant.

    \b
    codin tasks http://127.0.0.1:8000
    codin tasks http://127.0.0.1:8000 --state input-required
    codin tasks http://127.0.0.1:8000 get    ID
    codin tasks http://127.0.0.1:8000 cancel ID
    codin tasks http://127.0.0.1:8000 tail   ID --from 7
    """


@tasks.command("list", cls=_Command)
@click.argument("url")
@click.option("--context", "context_id", metavar="ID", help="Only of this conversation.")
@click.option(
    "--state",
    type=click.Choice(list(STATES), case_sensitive=False),
    metavar="STATE",
    help=f"Only in this state: {', '.join(STATES)}.",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@keys_option
@connection_options
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


@tasks.command(cls=_Command)
@click.argument("url")
@click.argument("task_id", metavar="ID")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Save its files there.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@keys_option
@connection_options
def get(url: str, task_id: str, out: Path | None, as_json: bool, connection: Connection) -> int:
    """Show a task: its state, what was said, and what came of it."""
    task = anyio.run(_get, connection, url, task_id)
    write(_json(task)) if as_json else show_task(task)
    if out is not None:
        _save_files(task, out)
    return 0


def _save_files(task: a2a.Task, folder: Path) -> None:
    for artifact in task.artifacts:
        for part in artifact.parts:
            if part.raw is not None:
                say(f"saved as {saved_in(folder, part.filename or artifact.name, part.raw)}", "dim")


async def _get(connection: Connection, url: str, task_id: str) -> a2a.Task:
    async with connection.open(url) as peer:
        return await with_whole_id(peer, task_id, peer.get)


@tasks.command(cls=_Command)
@click.argument("url")
@click.argument("task_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@keys_option
@connection_options
def cancel(url: str, task_id: str, as_json: bool, connection: Connection) -> int:
    """Cancel a task."""
    task = anyio.run(_cancel, connection, url, task_id)
    write(_json(task) if as_json else f"{task.id} {state_name(task.status.state)}\n")
    return 0


async def _cancel(connection: Connection, url: str, task_id: str) -> a2a.Task:
    async with connection.open(url) as peer:
        return await with_whole_id(peer, task_id, peer.cancel)


@tasks.command(cls=_Command)
@click.argument("url")
@click.argument("task_id", metavar="ID")
@click.option("--from", "first", type=click.IntRange(min=1), metavar="N", help="Begin with event N.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@retry_option
@keys_option
@connection_options
def tail(url: str, task_id: str, first: int | None, as_json: bool, connection: Connection) -> int:
    """Print every event of a task with its number, from the first one until the task has ended.

    Ctrl-C stops watching; the task goes on. Numbers are given by peers that can resume, as codin's servers do; from
    others comes the task as it is, and what happens from now on.
    """
    watch = _Watch(task_id, first, as_json)
    try:
        anyio.run(watch.follow, connection.open(url))
    except (KeyboardInterrupt, TransportError) as error:
        rest = () if watch.seen is None else ("--from", str(watch.seen + 1))
        known = "may go on" if isinstance(error, TransportError) else "goes on"
        say(f"the task {known}: {connection.command('tasks', url, 'tail', watch.task_id, *rest)}", "dim")
        if isinstance(error, TransportError):
            raise
        return Exit.INTERRUPTED
    return 0


class _Watch:
    """Prints events. `seen` is the number of the last one."""

    def __init__(self, task_id: str, first: int | None, as_json: bool) -> None:
        self.task_id = task_id
        self.seen: int | None = None
        self._first = first
        self._as_json = as_json

    async def follow(self, opening: AbstractAsyncContextManager[Peer]) -> None:
        async with opening as peer:
            await with_whole_id(peer, self.task_id, partial(self._follow, peer))

    async def _follow(self, peer: Peer, task_id: str) -> None:
        self.task_id = task_id
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
