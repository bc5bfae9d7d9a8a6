"""`codin serve --reload`: a server in a child process, started again when the code changes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from codin.cli._target import source_folders
from codin.cli._terminal import say
from codin.errors import ConfigError

__all__ = ["serve_and_reload"]

_GRACE = 3.0  # seconds for running turns when the code changed; the person waits for the new one
_LAST_GRACE = 30.0  # when the server is to end for good: its own drain is shorter


def serve_and_reload(targets: Sequence[str], settings: Mapping[str, Any]) -> int:
    """Serve in a child, and start it again after each change, until a signal says stop.

    Args:
        settings: the options of `codin serve`, by their names in Python.
    """
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        raise ConfigError(
            "--reload needs watchfiles, which is not installed", hint="pip install 'codin[cli]'"
        ) from None
    folders = source_folders(targets)
    command = [sys.executable, "-m", "codin.cli", "serve", *_options(settings), "--", *targets]
    say(f"watching {', '.join(map(_short, folders))}", "dim")
    with _stopped_by_signals() as stop:
        server = _Server(command)
        try:
            # A dead child is not started again before a change: it would only repeat what it has said.
            for changes in watch(*folders, watch_filter=PythonFilter(), stop_event=stop, raise_interrupt=False):
                if stop.is_set():
                    break
                names = sorted({_short(Path(path)) for _, path in changes})
                say(f"{', '.join(names)} changed; starting again", "dim")
                server.end(_GRACE)
                server = _Server(command)
        finally:
            server.end(_LAST_GRACE)
    return 0


class _Server:
    """The child. It has a process group of its own, so that Ctrl-C comes through here, once."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, process_group=0)

    def end(self, grace: float) -> None:
        """Let it end by itself for some seconds, then insist."""
        for sent in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the second one tells it not to wait
            if self._process.poll() is None:
                self._process.send_signal(sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
                return


@contextmanager
def _stopped_by_signals() -> Generator[threading.Event]:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _options(settings: Mapping[str, Any]) -> list[str]:
    """The settings as they are typed. A free port is chosen now, because a server that starts again keeps its own."""
    found: list[str] = []
    for name, value in settings.items():
        chosen = _free_port(settings["host"]) if name == "port" and value == 0 else value
        for each in chosen if isinstance(chosen, tuple) else [chosen]:  # pyright: ignore[reportUnknownVariableType]
            found += [f"--{name.replace('_', '-')}={each}"] if each is not None else []
    return found


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
