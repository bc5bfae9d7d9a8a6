"""`codin logs`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import click

from codin.cli._terminal import plain, results, say, write
from codin.cli.workspace._folder import Workspace
from codin.cli.workspace._record import Record
from codin.cli.workspace._tail import Tail, last_lines

__all__ = ["logs"]


@click.command()
@click.argument("names", metavar="[AGENT]...", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on with what they say, until Ctrl-C or the workspace is down.")
@click.option("--lines", "-n", type=click.IntRange(0), default=50, show_default=True, help="How many to begin with.")
@click.option("--raw", is_flag=True, help="Only what the agents wrote, without name and time.")
@click.option("--workspace", "-w", "folder", metavar="FOLDER", type=click.Path(exists=True, file_okay=False))
def logs(names: tuple[str, ...], follow: bool, lines: int, raw: bool, folder: str | None) -> int:
    """Show what the agents of a workspace have said: all of them, or those that are named.

    \b
    codin logs
    codin logs echo -f
    codin logs echo --raw | jq .message
    """
    workspace = Workspace.find(folder)
    record = Record(workspace)
    paths = {path.stem: path for path in sorted((workspace.state / "logs").glob("*.log"))}
    if unknown := [name for name in names if name not in paths]:
        there = f"there are {', '.join(paths)}" if paths else "nothing has been up here yet"
        raise click.BadParameter(f"no log of {', '.join(map(repr, unknown))}; {there}", param_hint="AGENT")
    if not paths:
        say(f"nothing has been up in {workspace.folder} yet")
    shown = {name: path for name, path in paths.items() if not names or name in names}
    show = _show_raw if raw else _labelled(max(map(len, shown), default=0) if len(shown) > 1 else 0)
    tail = Tail(shown)  # from here on, so that no line is missed in between
    for name, line in last_lines(shown, lines, _by_agent if raw else None):
        show(name, line)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for name, line in tail.lines(lambda: record.holder() is None):
                if not raw or _by_agent(line):
                    show(name, line)
    return 0


def _labelled(width: int) -> Callable[[str, str], None]:
    from rich.text import Text

    def show(name: str, line: str) -> None:
        label = f"{name.ljust(width)}  " if width else ""
        results().print(Text.assemble((label, "cyan"), plain(line)))

    return show


def _show_raw(name: str, line: str) -> None:
    write(f"{_text_of(line)}\n")


def _by_agent(line: str) -> bool:
    """Whether the agent has written it, and not who looks after it: a program that reads JSON would stumble there."""
    return not _text_of(line).startswith("-- ")


def _text_of(line: str) -> str:
    """A line without its time."""
    return line.partition(" ")[2]
