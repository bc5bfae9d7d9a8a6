"""Child processes of the rig: one-shot measurements and servers, each pinned to its processor."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.rig import calls
from benchmarks.rig.figure import Reading
from benchmarks.rig.sides import ROOT, Side

START_LIMIT = 60.0
STOP_LIMIT = 5.0


def processors() -> tuple[int | None, int | None]:
    """The processors for the server and for its load; None where they cannot be kept apart."""
    if not hasattr(os, "sched_getaffinity") or not shutil.which("taskset"):
        return None, None
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


def pinned(processor: int | None, *command: str) -> list[str]:
    """The command, kept on one processor."""
    return [*(() if processor is None else ("taskset", "-c", str(processor))), *command]


def child(side: Side, module: str, *arguments: str, processor: int | None = None) -> dict[str, Any]:
    """Run a module under the side's interpreter and return the JSON object it reports."""
    done = subprocess.run(
        pinned(processor, side.python, "-m", module, *arguments),
        env=side.process_environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"{side.name}: {module} {' '.join(arguments)} failed\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_reading(answer: dict[str, Any]) -> Reading:
    return Reading(answer["best"], answer["median"])


class Server:
    """A side's server in a process of its own, pinned to the server processor. Use it as a context manager."""

    def __init__(self, side: Side, agent: str, store: str | None = None) -> None:
        self.side = side
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop()
        _raise_file_limit()
        self.port = _free_port()
        words = [side.server, agent, str(self.port), *([store] if store else [])]
        self.spawned = time.perf_counter()
        self.process = subprocess.Popen(
            pinned(processors()[0], side.python, "-m", "benchmarks.rig.serve", *words),
            env=side.process_environ,
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._await_socket()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def post(self, body: bytes) -> bytes:
        """One call on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, calls.HEADERS)
            return connection.getresponse().read()
        finally:
            connection.close()

    def check_echo(self) -> None:
        """Raise unless an echo call is answered as it should be."""
        answer = self.post(calls.send_message())
        if calls.DONE not in answer:
            raise RuntimeError(f"{self.side.name} did not complete the call: {answer[:600]!r}\n{self.log()}")

    def resident_bytes(self) -> int:
        """The resident memory of the server process. Linux only."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def cpu_seconds(self) -> float | None:
        """The CPU time the server process has used; None where there is no /proc."""
        status = Path(f"/proc/{self.process.pid}/stat")
        if not status.exists():
            return None
        fields = status.read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """The end of what the server has printed."""
        self._log.seek(0)
        return self._log.read()[-2000:]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_socket(self) -> None:
        end = time.perf_counter() + START_LIMIT
        while time.perf_counter() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.side.name}: the server ended while starting\n{self.log()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return
            except OSError:
                time.sleep(0.002)
        raise RuntimeError(f"{self.side.name}: the server did not start within {START_LIMIT:.0f} s\n{self.log()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _raise_file_limit() -> None:
    """Thousands of open streams need as many descriptors, here and in the server, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
