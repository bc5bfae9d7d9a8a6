"""A real Redis for the tests, from Debian's package: on a socket in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers.docker import SERVERS

_PATIENCE = 30.0


def why_not() -> str | None:
    """Why no server can be started here, and what to do; None when one can."""
    if sys.platform != "linux":
        return "a Redis of the tests' own needs Linux"
    if _program() is None:
        return f"no redis-server: python tests/servers/unpack.py {SERVERS}, and set CODIN_SERVERS to it"
    return None


def _program() -> str | None:
    return shutil.which("redis-server", path=f"{SERVERS}/usr/bin:{os.environ['PATH']}")


class RedisServer:
    """Start it, kill it, start it again; `stop` leaves nothing of it. It ends with the thread that started it.

    Args:
        settings: more of its command line, such as "--maxmemory", "1mb".
    """

    def __init__(self, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="codin-redis-", dir="/tmp"))  # a socket's path is short by law
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def url(self, password: str = "") -> str:
        return f"unix://{':' * bool(password)}{password}{'@' * bool(password)}{self.folder}/socket"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = _program()
        assert program is not None
        own = ["--port", "0", "--unixsocket", f"{self.folder}/socket", "--dir", str(self.folder), "--save", ""]
        libraries = sorted(str(folder) for folder in SERVERS.glob("usr/lib/*-linux-gnu"))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *own, "--appendonly", "yes", *self._settings],
                env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers(self._process)

    def send(self, sign: signal.Signals) -> None:
        """Send the server a signal."""
        assert self._process is not None
        self._process.send_signal(sign)

    def kill(self) -> None:
        """End it at once, as the kernel does when memory is short."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, command: str) -> bytes:
        """What the server answers to a command of one line."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_PATIENCE)
            asking.connect(f"{self.folder}/socket")
            asking.sendall(command.encode() + b"\r\n")
            return asking.recv(65536)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"Redis does not answer:\n{log}")
