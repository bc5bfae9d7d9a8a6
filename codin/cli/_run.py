"""`codin run`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.lowlevel
import click

from codin.cli._exits import Exit
from codin.cli._saving import saved
from codin.cli._terminal import plain, say

if TYPE_CHECKING:
    from codin.errors import WorkloadFailed
    from codin.runtime import Command, OmniRuntime, RuntimeResult, SandboxDemand
    from codin.sandbox import Guarantee, Output

__all__ = ["run"]

_MIB = 1024 * 1024
_PIECE = 64 * 1024
_MOST = 64 * _MIB  # of its input, and of what it writes to each of the two streams
_TIMEOUT = 124  # as `timeout` has it
_SIGNAL = 128  # as a shell has it
_LOCAL = "local"
_WASM = "wasm"


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
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["cpu", "memory", "processes", "syscalls"]),
    help="What the sandbox of this machine need not keep, if it cannot; may be repeated.",
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
    help="Take these files of its working folder; a * goes into its folders, and none that is here is written over.",
)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="The folder they go to.")
def run(
    command: tuple[str, ...],
    on: str | None,
    sandbox: SandboxDemand,
    without: tuple[Guarantee, ...],
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

    Its working folder is a new one, with what --put puts there, and gone afterwards; with --sandbox off too. What it
    reads is what is typed, or comes out of a pipe, as it comes.

    \b
    codin run --put numbers.csv --get "*.svg" analysis.py
    codin run --on docker ls -l /
    echo "print(6 * 7)" | codin run python3 -

    It ends with the exit code of the command, 128 and the number of a signal that ended it; 124 when it took too long,
    1 when not all that it wrote is there, or --get finds nothing to take. What --get names is taken also of a command
    that fails, and not of one that is ended because nobody reads what it writes.
    """
    from codin.runtime import Command
    from codin.sandbox import Limits

    if without and on not in (None, _LOCAL):
        raise click.UsageError(f"--without is of the sandbox of this machine, and not of {on}")
    argv, script = _of_file(command)
    work = Command(
        argv,
        feed=_input(),
        limits=Limits(cpu=cpu, memory=memory * _MIB, disk=disk * _MIB, time=seconds, output=_MOST),
        network="full" if network else "none",
        files=_files([*script, *put]),
        artifacts=patterns,
        sandbox=sandbox,
        on=on,
    )
    if patterns:
        _check_folder(to)
    with _remarks():
        try:
            return anyio.run(_until_told, work, frozenset(without), to)
        except BrokenPipeError:  # `codin run … | head`: it ends as one that wrote into that pipe itself
            if patterns:
                with suppress(BrokenPipeError, SystemExit):  # with which rich ends where nobody reads this either
                    say("it was ended: nobody reads what it writes; --get takes nothing", "red")
            return _SIGNAL + signal.SIGPIPE


def _of_file(command: Sequence[str]) -> tuple[Sequence[str], Sequence[Path]]:
    """A file of Python is put into the working folder and run by the Python that is there."""
    path = Path(command[0])
    if path.suffix != ".py" or not path.is_file():
        return command, ()
    return ["python3", path.name, *command[1:]], (path,)


async def _input() -> AsyncIterator[bytes]:
    """Its own input, as it comes."""
    if sys.stdin is None:  # it was begun with none
        return
    left = _MOST
    while given := await _read(sys.stdin.fileno()):
        left -= len(given)
        if left < 0:
            raise click.UsageError(f"its input is longer than {_MOST // _MIB} MiB; --put gives it a file instead")
        yield given


async def _read(source: int) -> bytes:
    """What can be had of a file, a pipe or a terminal, without a thread that would wait for somebody to type."""
    while True:
        try:
            await anyio.wait_readable(source)
        except PermissionError:  # of a file, which the loop does not watch, since it never has to wait for one
            await anyio.lowlevel.checkpoint()
        try:
            return os.read(source, _PIECE)
        except BlockingIOError:  # somebody else was first
            continue


def _files(paths: Sequence[Path]) -> Mapping[str, bytes]:
    """What is put into the working folder, by name."""
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.name, path)
        if not other.samefile(path):
            raise click.UsageError(f"{other} and {path} would both be {path.name} in its working folder")
    return {name: path.read_bytes() for name, path in found.items()}


def _check_folder(to: Path) -> None:
    """Make the folder of what --get takes, while nothing is lost yet where nothing can be written there."""
    try:
        to.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=to).close()
    except OSError as error:
        raise click.BadParameter(f"{to} cannot be written to: {error.strerror}", param_hint="'--to'") from None


async def _until_told(work: Command, without: frozenset[Guarantee], to: Path) -> int:
    """As Ctrl-C does, a word to end ends the command, and takes its working folder away."""
    told: list[int] = []
    with anyio.CancelScope() as running:

        def end(number: int) -> None:
            told.append(number)
            running.cancel()

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # and not for `nohup`
                asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await _run(work, without, to)
    return _SIGNAL + told[0]


async def _run(work: Command, without: frozenset[Guarantee], to: Path) -> int:
    from codin.errors import NoRuntime, WorkloadFailed
    from codin.sandbox import Output

    written: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        try:
            running = await (await _runtime(stack, without)).run(work, stream=True)
            async for event in running:
                if isinstance(event, Output):
                    written[event.stream] += len(event.data)
                    _show(event)
        except NoRuntime as error:
            if work.sandbox == "required" and work.on in (None, _LOCAL):
                error.hint = (await _lacking(work)).hint or error.hint
            raise
        except WorkloadFailed as error:
            if error.result is None:
                raise
            code = await _failed(error, error.result, work)
            _take(error.result, work.artifacts, to)
            _say_unkept(error.result)
            return code
    return _report(running, work.artifacts, [stream for stream, size in written.items() if size >= _MOST], to)


async def _runtime(stack: AsyncExitStack, without: frozenset[Guarantee]) -> OmniRuntime:
    from codin.runtime import LocalRuntime, OmniRuntime, runtimes
    from codin.sandbox import Policy

    if not without:
        return await stack.enter_async_context(OmniRuntime())
    local = await stack.enter_async_context(LocalRuntime(demands=Policy().demands - without))
    return await stack.enter_async_context(OmniRuntime([local if name == _LOCAL else name for name in runtimes()]))


async def _failed(error: WorkloadFailed, done: RuntimeResult, work: Command) -> int:
    """Say why it has failed, where it has not said so itself. Gives the exit code."""
    code = done.exit_code if done.exit_code >= 0 else _SIGNAL - done.exit_code
    match done.ended:
        case "time":
            say(f"{error.message}; --time gives it more", "red")
            return _TIMEOUT
        case "memory":
            say(f"{error.message}; --memory gives it more", "red")
        case "files":
            say(f"{error.message}; {work.limits.files} are the most", "red")
        case "output":
            say(f"{error.message}; let it write a file, and take that by --get", "red")
        case _ if done.exit_code < 0:
            say(f"it was ended by {_name(-done.exit_code)}", "red")
        case _ if done.exit_code == 0:
            raise error
        case _ if done.sandbox == _WASM:
            why, hint = await _lacking(work)
            words = f"it ran in a sandbox of kind {_WASM!r}, whose Python has no packages and starts no programs"
            say(": ".join(filter(None, (words, why))) + (f". Hint: {hint}" if hint else ""), "dim")
        case _:
            pass
    return code or Exit.TASK


class _Lack(NamedTuple):
    """Why the sandbox that holds every program cannot hold one here, and what a person can do."""

    why: str = ""
    hint: str | None = None


async def _lacking(work: Command) -> _Lack:
    from codin.errors import PolicyNotEnforced, SandboxUnavailable
    from codin.sandbox import Policy, sandbox_of

    try:
        await sandbox_of(_LOCAL, Policy(limits=work.limits, network=work.network)).check()
    except PolicyNotEnforced as error:
        options = " ".join(f"--without {name}" for name in sorted(error.missing))
        hint = "install libseccomp" if "syscalls" in error.missing else f"{options} runs it all the same"
        return _Lack(error.message, hint)
    except SandboxUnavailable as error:
        return _Lack(error.message, error.hint)
    return _Lack()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of those that have no name
        return f"signal {number}"


def _show(output: Output) -> None:
    stream = sys.stdout if output.stream == "stdout" else sys.stderr
    if stream is None:  # it was begun with none
        return
    try:
        if stream.isatty():
            stream.write(plain(output.text))
            stream.flush()
        else:
            stream.buffer.write(output.data)
            stream.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python fails at it once more when it ends
        raise


def _report(done: RuntimeResult, patterns: Sequence[str], cut: Sequence[str], to: Path) -> int:
    has_all = _take(done, patterns, to)
    _say_unkept(done)
    for stream in cut:
        say(f"its {stream} ends here, after {_MOST} bytes; let it write a file, and take that by --get", "red")
    return Exit.OK if has_all and not cut else Exit.TASK


def _take(done: RuntimeResult, patterns: Sequence[str], to: Path) -> bool:
    """Save what it has left of what was asked for. Whether that is something of each, and all of it is saved."""
    told: list[str] = []  # once all is saved: who reads it may have gone
    unsaved: list[str] = []
    for name, content in done.artifacts.items():
        path = to / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path = saved(path, content)
        except OSError as error:  # such as a file where its folder would be
            unsaved.append(f"{path} cannot be saved: {error.strerror}")
        else:
            told.append(f"{path}: {len(content)} bytes")
    for line in told:
        say(line, "dim")
    for line in unsaved:
        say(line, "red")
    missed = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in done.artifacts)]
    if missed:
        say(f"it has left no {' and no '.join(missed)} in its working folder", "red")
    return not missed and not unsaved


def _say_unkept(done: RuntimeResult) -> None:
    if done.unenforced:
        say(f"not kept by {done.sandbox or done.runtime}: {', '.join(sorted(done.unenforced))}", "yellow")


class _Remarks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), "dim")


@contextmanager
def _remarks() -> Generator[None]:
    """Say what sandboxes do while somebody waits for them, such as that one is built for a minute."""
    logger, handler = logging.getLogger("codin.sandbox"), _Remarks()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
