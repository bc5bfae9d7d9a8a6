"""`codin push`."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import click

from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import plain, say, write
from codin.errors import ConfigError, StoreInUse
from codin.task import DeadLetter, TaskStore, dead_letters, open_store, revive_dead_letters

__all__ = ["push"]

_SCHEME = "sqlite:///"
_IN_USE = "end that server first; in a program that serves, App.dead_letters and App.revive_dead_letters do the same"

_store_argument = click.argument("store")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print an object a line.")


@click.group(cls=OrderedGroup)
def push() -> None:
    """Push notifications that could not be delivered, in the STORE of a server that does not run: a SQLite file.

    \b
    codin push dead  tasks.db
    codin push retry tasks.db
    codin push retry tasks.db --task ID
    """


@push.command()
@_store_argument
@_json_option
def dead(store: str, as_json: bool) -> int:
    """List the dead letters: whose notifications were given up, and why."""
    _show(anyio.run(_dead, _url_of(store)), as_json, "no dead letters")
    return 0


async def _dead(url: str) -> list[DeadLetter]:
    async with _opened(url) as opened:
        return await dead_letters(opened)


@push.command()
@_store_argument
@click.option("--task", "task_id", metavar="ID", help="Only of this task.")
@_json_option
def retry(store: str, task_id: str | None, as_json: bool) -> int:
    """Let dead letters go out again, from where they stopped, when the server starts."""
    _show(anyio.run(_retry, _url_of(store), task_id), as_json, "nothing to try again")
    return 0


async def _retry(url: str, task_id: str | None) -> list[DeadLetter]:
    async with _opened(url) as opened:
        return await revive_dead_letters(opened, task_id=task_id)


def _url_of(store: str) -> str:
    path = Path(store.removeprefix(_SCHEME).partition("?")[0])
    if not path.is_file():  # opening it would make it
        raise ConfigError(f"there is no store {store!r}", hint="give the SQLite file that the agent was served with")
    return store if store.startswith(_SCHEME) else f"{_SCHEME}{store}"


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[TaskStore]:
    store = open_store(url)
    try:
        await store.open()
    except StoreInUse as error:
        raise StoreInUse(error.message, hint=_IN_USE) from error
    try:
        yield store
    finally:
        await store.close()


def _show(letters: Sequence[DeadLetter], as_json: bool, nothing: str) -> None:
    """A line each: task, configuration, event, receiver, why, when. For a program with tabs between."""
    if as_json:
        for letter in letters:
            write(json.dumps(letter._asdict(), ensure_ascii=False) + "\n")
        return
    if not letters:
        say(nothing, "dim")
    rows = [[plain(field) for field in _fields(letter)] for letter in letters]
    if sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rows = [[field.ljust(width) for field, width in zip(row, widths, strict=True)] for row in rows]
    for row in rows:
        write(("  " if sys.stdout.isatty() else "\t").join(row).rstrip() + "\n")


def _fields(letter: DeadLetter) -> list[str]:
    when = datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="seconds")
    return [letter.task_id, letter.config_id, str(letter.number), letter.url, letter.why, when]
