"""`codin`, its commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from codin import __version__

if TYPE_CHECKING:
    from codin.errors import CodinError

__all__ = ["main", "run"]

_COMMANDS = {
    "serve": "Serve the agents of a Python file or module.",
    "card": "Show, sign or verify the card of an agent.",
    "call": "Send a message and stream the answer.",
    "check": "Check whether a server keeps to A2A v1.0.",
    "keys": "Make, list, rotate, revoke or export the keys that sign cards.",
    "trust": "List, approve, revoke or compare what you trust.",
    "find": "Find agents on this machine and in a registry.",
    "registry": "Run a registry, where agents are found.",
    "tasks": "List, get, cancel or follow the tasks of an agent.",
    "push": "Show or revive notifications that could not be delivered.",
    "run": "Run a program or a file of Python in a sandbox.",
    "tools": "List, use or serve the tools of a workspace.",
    "memory": "Put texts into a memory, search it, erase it.",
    "runtimes": "Show where workloads can run, and in which sandboxes.",
    "up": "Run every agent of a workspace.",
    "down": "End what codin up runs.",
    "ps": "Show what codin up runs.",
    "logs": "Show what the agents of a workspace say.",
    "new": "Begin an agent or a tool.",
    "version": "Show the version.",
}


# What click from 8.2 on raises for a group without a subcommand; before, it shows the help and is done.
_HELP: tuple[type[click.ClickException], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)


class _Commands(click.Group):
    """Imports a command when it is used; its help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"codin.cli._{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `codin … | head`: the reader has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"codin {__version__}")
        ctx.exit()


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the task failed, was rejected or canceled, 2 usage, 3 input required, "
    "4 credential required, 5 the peer could not be reached or refused.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def codin(ctx: click.Context) -> None:
    """Agents that speak A2A v1.0: serve them, call them, look after their tasks.

    \b
    codin serve hello.py
    codin card  http://127.0.0.1:8000
    codin call  http://127.0.0.1:8000 "hello"
    codin tasks http://127.0.0.1:8000
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code, see `docs/cli.md`. An error is one line on standard error; `CODIN_DEBUG=1` lets it through.
    """
    return run(arguments)


def run(arguments: Sequence[str] | None = None, *, exit_of: Callable[[CodinError], int] | None = None) -> int:
    """The same, for a program that tells errors apart: its own exit codes take the place of those in `docs/cli.md`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal shows what it can
    try:
        # Without standalone mode click hands over its errors, and what a command returns.
        code = codin.main(arguments, prog_name="codin", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except _HELP as shown:
        click.echo(shown.format_message())
        return 0
    except Exception as error:
        if os.environ.get("CODIN_DEBUG", "0") not in {"", "0"} and not isinstance(error, click.ClickException):
            raise
        return _report(error, exit_of)
    return code if isinstance(code, int) else 0


def _report(error: Exception, exit_of: Callable[[CodinError], int] | None) -> int:
    """Say what went wrong in one line."""
    from codin.cli._exits import Exit, hint_of
    from codin.cli._exits import exit_of as documented
    from codin.cli._terminal import errors, plain
    from codin.errors import CodinError

    hint: str | None
    if isinstance(error, CodinError):
        code, words, hint = (exit_of or documented)(error), error.message, hint_of(error)
    elif isinstance(error, click.ClickException):
        code, words, hint = Exit.USAGE, error.format_message(), None
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"{error.ctx.command_path} --help"
            if isinstance(error, click.NoSuchOption) and error.ctx.info_name == "call":
                hint += "; a text that begins with - stands behind --: codin call URL -- TEXT"
    else:
        code, words, hint = Exit.BUG, f"{type(error).__name__}: {error}", "CODIN_DEBUG=1 shows where"
    from rich.text import Text

    line = Text.assemble(("error: ", "bold red"), " ".join(plain(words).split()))
    if hint:
        line.append(f"{'' if words.rstrip().endswith(('.', '?', '!')) else '.'} Hint: {' '.join(plain(hint).split())}")
    errors().print(line)
    return code
