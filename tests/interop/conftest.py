"""Other people's A2A software, each in an environment of its own, made on first use and kept.

The environments live below `CODIN_PEERS` (default `~/.cache/codin-peers`). Two versions of one SDK cannot share an
environment with each other or with codin, so a peer is always another process.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("CODIN_PEERS") or Path.home() / ".cache" / "codin-peers")

A2A_SDK = "1.3.0"
_INSTALLED = "from importlib.metadata import version as v; v('uvicorn'); raise SystemExit(v('a2a-sdk') != {version!r})"


@contextmanager
def locked(name: str) -> Generator[None]:
    """Only one of several test processes makes the environment; the others wait for it."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with (PEERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sdk_environment() -> Path:
    """The Python of the environment that holds the official SDK."""
    name = "a2a"  # the benchmarks measure the same environment
    python = PEERS / name / "bin" / "python"
    check = [str(python), "-c", _INSTALLED.format(version=A2A_SDK)]
    with locked(name):
        if not python.exists() or subprocess.run(check, check=False, capture_output=True).returncode:
            subprocess.run([sys.executable, "-m", "venv", PEERS / name], check=True)
            packages = [f"a2a-sdk[http-server]=={A2A_SDK}", "uvicorn"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


@pytest.fixture(scope="session")
def a2a_sdk_python() -> Path:
    """The Python that can import the official SDK."""
    return sdk_environment()


@pytest.fixture(scope="session")
def official_server(a2a_sdk_python: Path) -> Iterator[str]:
    """The URL of an agent on the official Python SDK; what it does is in `peers/a2a_sdk_server.py`."""
    server = subprocess.Popen([a2a_sdk_python, HERE / "peers" / "a2a_sdk_server.py"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        assert url, "the official server did not start; its words are above"
        yield url
    finally:
        server.terminate()
        server.wait(timeout=10)
        server.stdout.close()
