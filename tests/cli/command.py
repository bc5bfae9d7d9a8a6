"""The real command: run to its end, run beside the test, and run on a terminal."""

from __future__ import annotations

import atexit
import codecs
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from random import SystemRandom
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
CODIN = [sys.executable, "-m", "codin.cli"]
PATIENCE = 100.0  # of a machine that does other things meanwhile
STATE = tempfile.mkdtemp(prefix="codin-state-")  # where commands remember, instead of the home of who runs the tests
atexit.register(shutil.rmtree, STATE, ignore_errors=True)

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command that finds this checkout, and no settings of the one who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODIN_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "XDG_STATE_HOME": STATE, "CODIN_RUNTIME": STATE, **(extra or {})}


def free_port(count: int = 1) -> int:
    """The first of so many ports beside each other that are free, and stay so until somebody is told of them.

    They are below those that the system gives to whoever asks for any, such as every client that connects.
    """
    for port in SystemRandom().sample(range(20_000, 32_000), 100):
        with ExitStack() as held, suppress(OSError):
            for each in range(port, port + count):
                held.enter_context(socket.create_server(("127.0.0.1", each)))
            return port
    raise AssertionError("no port is free")


def run(
    *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with nobody at a terminal."""
    return subprocess.run(
        [*CODIN, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(env),
        cwd=cwd,
    )


class Running:
    """A command that runs beside the test. `out` and `err` hold what was read of its streams so far."""

    def __init__(
        self,
        *arguments: str,
        program: Path | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        command = CODIN if program is None else [sys.executable, str(program)]
        self._process = subprocess.Popen(
            [*command, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=cwd,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._streams = {self._process.stdout.fileno(): "out", self._process.stderr.fileno(): "err"}
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")() for name in self._streams.values()}
        self.out = ""
        self.err = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def expect(self, pattern: str, stream: str = "out") -> re.Match[str]:
        """Read until a stream has what is looked for, beginning behind what was found before."""
        deadline = monotonic() + PATIENCE
        while not (match := re.search(pattern, getattr(self, stream))):
            assert monotonic() < deadline, f"{pattern!r} did not come: {self.out!r} {self.err!r}"
            self._read(deadline)
        setattr(self, stream, getattr(self, stream)[match.end() :])
        return match

    def serving(self, pattern: str = r"(http://\S+)\n") -> str:
        """The URL that a server prints, once somebody listens there: it is printed a moment before."""
        url = self.expect(pattern)[1]
        parts = urlsplit(url)
        deadline = monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((parts.hostname, parts.port), PATIENCE).close()
            except ConnectionRefusedError:
                assert monotonic() < deadline, f"nobody listens at {url}"
                select.select([], [], [], 0.01)  # a refusal is all there is to wait for
            else:
                return url

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """What Ctrl-C does, or another signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word of farewell."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def wait(self) -> int:
        """Read to the end. Returns the exit code."""
        deadline = monotonic() + PATIENCE
        while self._streams:
            assert monotonic() < deadline, f"the command did not end: {self.out!r} {self.err!r}"
            self._read(deadline)
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> None:
        ready, _, _ = select.select(list(self._streams), [], [], max(0.0, deadline - monotonic()))
        for descriptor in ready:
            data = os.read(descriptor, 65536)
            if data:
                name = self._streams[descriptor]
                setattr(self, name, getattr(self, name) + self._decoders[name].decode(data))
            else:
                del self._streams[descriptor]
        assert ready or self._streams, f"the command has ended: {self.out!r} {self.err!r}"


class Terminal:
    """A command with a person at a terminal: both streams are on the screen."""

    def __init__(self, *arguments: str, columns: int = 100) -> None:
        self.screen = ""
        self._raw = b""
        self._found = 0
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [*CODIN, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment({"TERM": "xterm", "COLUMNS": str(columns)}),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509  no other thread runs here
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def expect(self, text: str) -> None:
        """Read the screen until a text is on it, below what was found before."""
        deadline = monotonic() + PATIENCE
        while (place := self.screen.find(text, self._found)) < 0:
            assert monotonic() < deadline, f"{text!r} did not come: {self.screen!r}"
            assert self._read(deadline), f"{text!r} did not come before the end: {self.screen!r}"
        self._found = place + len(text)

    def line(self) -> str:
        """The rest of the line behind what was found."""
        begin = self._found
        self.expect("\n")
        return self.screen[begin : self._found - 1]

    def type(self, keys: str) -> None:
        """Press keys; "\\x03" is Ctrl-C, "\\x04" Ctrl-D."""
        os.write(self._master, keys.encode())

    def wait(self) -> int:
        """Read to the end. Returns the exit code."""
        deadline = monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - monotonic()))
        assert ready, f"nothing comes any more: {self.screen!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self._raw += data  # whose end may be within a letter, or within a style
        self.screen = _STYLE.sub("", codecs.utf_8_decode(self._raw)[0]).replace("\r\n", "\n")
        return bool(data)


def _take_terminal() -> None:
    """Make the terminal the one that controls the new session, so that Ctrl-C on it is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
