"""`codin serve --reload`: a server in a child process, started again when the code changes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from codin.cli._interpreter import command_in, typed
from codin.cli._ports import free_port
from codin.cli._target import source_folders
from codin.cli._terminal import say
from codin.errors import ConfigError

__all__ = ["serve_and_reload"]

_GRACE = 3.0  # seconds for running turns when the code changed; the person waits for the new one
_LAST_GRACE = 30.0  # when the server is to end for good: its own drain is shorter


def serve_and_reload(targets: Sequence[str], settings: Mapping[str, Any], python: str | None) -> int:
    """Serve in a child, and start it again after each change, until a signal says stop.

    Args:
        settings: the options of `codin serve`, by their names in Python.
        python: the interpreter of the child; None for this one.
    """
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        raise ConfigError(
            "--reload needs watchfiles, which is not installed", hint="pip install 'codin[cli]'"
        ) from None
    folders = source_folders(targets)
    if settings["port"] == 0:  # chosen now, because a server that starts again keeps its own
        settings = {**settings, "port": free_port(settings["host"])}
    arguments = ["serve", *typed(settings), "--", *targets]
    command = command_in(python, arguments) if python else [sys.executable, "-m", "codin.cli", *arguments]
    say(f"watching {', '.join(map(_short, folders))}", "dim")
    with _Child(command) as child:
        # A dead child is not started again before a change: it would only repeat what it has said.
        for changes in watch(*folders, watch_filter=PythonFilter(), stop_event=child, raise_interrupt=False):
            if child.stop.is_set():
                break
            names = sorted({_short(Path(path)) for _, path in changes})
            say(f"{', '.join(names)} changed; starting again", "dim")
            child.restart()
    return 0


class _Child:
    """The server. It has a process group of its own, so that Ctrl-C comes through here, once.

    It begins when the watch asks for the first time whether to stop: from then on no change is missed.
    The first signal sets `stop`; a second one goes to the child at once, which then does not wait for anything.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.stop = threading.Event()
        self._command = command
        self._signal: int = signal.SIGTERM
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._signal, _LAST_GRACE)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def is_set(self) -> bool:
        """Whether to stop, which the watch asks again and again."""
        if self._process is None and not self.stop.is_set():
            self._start()
        return self.stop.is_set()

    def restart(self) -> None:
        """End it, and start it again."""
        self._end(signal.SIGTERM, _GRACE)
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, process_group=0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set() and self._process is not None:
            self._process.send_signal(number)
        self._signal = number
        self.stop.set()

    def _end(self, number: int, grace: float) -> None:
        """Let it end by itself for some seconds, then insist."""
        if self._process is None:
            return
        for sent in (number, signal.SIGTERM, signal.SIGKILL):  # the second one tells it not to wait
            if self._process.poll() is None:
                self._process.send_signal(sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
                return


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
