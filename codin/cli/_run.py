"""`codin run`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from codin.cli._exits import Exit
from codin.cli._saving import saved
from codin.cli._terminal import plain, say

if TYPE_CHECKING:
    from codin.runtime import Command, RuntimeResult, SandboxDemand

__all__ = ["run"]

_MIB = 1024 * 1024
_MOST_INPUT = 64 * _MIB

# What the library says to programs, in the words of this command.
_HINTS = {
    "raise limits.memory of the workload": "--memory gives it more",
    "raise limits.output of the workload": "let it write a file, and take that by --get",
}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True)
@click.option("--on", metavar="NAME", help="The runtime; `codin runtimes` lists them.")
@click.option(
    "--sandbox",
    type=click.Choice(["required", "preferred", "off"]),
    default="required",
    show_default=True,
    help="In a sandbox or not at all, where there is one, or on this machine as you.",
)
@click.option("--network", is_flag=True, help="Let it use the network.")
@click.option("--cpu", type=click.FloatRange(0.01), default=1.0, show_default=True, help="Cores.")
@click.option("--memory", type=click.IntRange(16), default=256, show_default=True, metavar="MIB", help="Memory.")
@click.option("--disk", type=click.IntRange(1), default=64, show_default=True, metavar="MIB", help="Its files.")
@click.option("--time", "seconds", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds.")
@click.option(
    "--put",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put a file into its working folder.",
)
@click.option(
    "--get",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Take these files of its working folder; none that is here is written over.",
)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="The folder they go to.")
def run(
    command: tuple[str, ...],
    on: str | None,
    sandbox: SandboxDemand,
    network: bool,
    cpu: float,
    memory: int,
    disk: int,
    seconds: float,
    put: tuple[Path, ...],
    patterns: tuple[str, ...],
    to: Path,
) -> int:
    """Run a program, or a file of Python, in a sandbox. Options stand before the command.

    Its working folder is a new one, with what --put puts there, and gone afterwards; with --sandbox off too.

    \b
    codin run --put numbers.csv --get "*.svg" analysis.py
    codin run --on docker ls -l /
    echo "print(6 * 7)" | codin run python3 -

    It ends with the exit code of the command; 124 when it took too long, 1 when --get finds nothing to take.
    """
    from codin.runtime import Command
    from codin.sandbox import Limits

    limits = Limits(cpu=cpu, memory=memory * _MIB, disk=disk * _MIB, time=seconds)
    argv, files = _of_file(command)
    work = Command(
        argv,
        b"" if sys.stdin.isatty() else sys.stdin.buffer.read(_MOST_INPUT),
        limits=limits,
        network="full" if network else "none",
        files={**files, **{path.name: path.read_bytes() for path in put}},
        artifacts=patterns,
        sandbox=sandbox,
        on=on,
    )
    return anyio.run(_run, work, to)


def _of_file(command: Sequence[str]) -> tuple[Sequence[str], Mapping[str, bytes]]:
    """A file of Python is put into the working folder and run by the Python that is there."""
    path = Path(command[0])
    if path.suffix != ".py" or not path.is_file():
        return command, {}
    return ["python3", path.name, *command[1:]], {path.name: path.read_bytes()}


async def _run(work: Command, to: Path) -> int:
    from codin.errors import WorkloadFailed, WorkloadTimeout
    from codin.runtime import OmniRuntime

    async with OmniRuntime() as runtime:
        running = await runtime.run(work, stream=True)
        try:
            async for event in running:
                _show(event)
        except WorkloadTimeout as error:
            say(f"{error.message}; --time gives it more", "red")
            return 124
        except WorkloadFailed as error:
            if error.result is None or error.result.exit_code <= 0:
                error.hint = _HINTS.get(error.hint or "", error.hint)
                raise
            return error.result.exit_code
    return _report(running, work.artifacts, to)


def _show(event: object) -> None:
    from codin.sandbox import Output

    if isinstance(event, Output):
        stream = sys.stdout if event.stream == "stdout" else sys.stderr
        if stream.isatty():
            stream.write(plain(event.text))
            stream.flush()
        else:
            stream.buffer.write(event.data)
            stream.buffer.flush()


def _report(done: RuntimeResult, patterns: Sequence[str], to: Path) -> int:
    for name, content in done.artifacts.items():
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path = saved(path, content)
        say(f"{path}: {len(content)} bytes", "dim")
    if done.unenforced:
        say(f"not kept by {done.sandbox or done.runtime}: {', '.join(sorted(done.unenforced))}", "yellow")
    missed = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in done.artifacts)]
    if missed:
        say(f"it has left no {' and no '.join(missed)} in its working folder", "red")
    return Exit.TASK if missed else Exit.OK
