"""Other people's A2A software, each in an environment of its own, made on first use and kept.

The environments live below `CODIN_PEERS` (default `~/.cache/codin-peers`). Two versions of one SDK cannot share an
environment with each other or with codin, so a peer is always another process. `make peers` makes them, too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.official_client import OfficialClient
from tests.interop.old_client import OldClient

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("CODIN_PEERS") or Path.home() / ".cache" / "codin-peers")

A2A_SDK = "1.3.0"
_INSTALLED = """
from importlib.metadata import version
raise SystemExit(not all(map(version, ["grpcio", "pyjwt", "uvicorn"])) or version("a2a-sdk") != {version!r})
"""
_NODE = 20


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
            packages = [f"a2a-sdk[http-server,signing]=={A2A_SDK}", "grpcio", "uvicorn"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def old_sdk_environment() -> Path:
    """The Python of the environment that holds the official SDK for A2A 0.3, and what it needs, as it is pinned."""
    name = "a2a03"
    python = PEERS / name / "bin" / "python"
    pinned = HERE / "peers" / "a2a_sdk_03.txt"
    made = PEERS / name / "made.txt"
    with locked(name):
        if not python.exists() or not made.exists() or made.read_text() != pinned.read_text():
            subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS / name], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", pinned], check=True)
            shutil.copyfile(pinned, made)
    return python


def js_environment(peer: str = "js") -> Path:
    """The folder whose `node_modules` hold what the `package-lock.json` of a peer names."""
    _check_node()
    folder = PEERS / peer
    with locked(peer):
        if not _is_installed(folder):
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(HERE / "peers" / peer / name, folder / name)
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


def _is_installed(folder: Path) -> bool:
    """npm writes down what it has put into a folder; optional packages may be left out of it."""
    installed = folder / "node_modules" / ".package-lock.json"
    if not installed.exists():
        return False
    wanted = json.loads((HERE / "peers" / folder.name / "package-lock.json").read_text())["packages"]
    return json.loads(installed.read_text())["packages"].items() <= wanted.items()


def _check_node() -> None:
    node = shutil.which("node") and subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    version = re.match(r"v(\d+)", node.stdout) if node else None
    if version and int(version[1]) >= _NODE and shutil.which("npm"):
        return
    missing = f"peers in JavaScript need node {_NODE} or newer, and npm: https://nodejs.org"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def running(*command: str | Path, **options: Any) -> Generator[str]:
    """A program of a peer; gives the first line it prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as program:
        assert program.stdout is not None
        try:
            line = program.stdout.readline().strip()
            assert line, "the program did not start; its words are above"
            yield line
        finally:
            program.terminate()
            program.wait(timeout=10)


@contextmanager
def running_js(script: str, peer: str = "js") -> Generator[str]:
    """A program of a peer in JavaScript; gives the first line it prints."""
    folder = js_environment(peer)
    # From standard input, node looks for packages in the working directory; else it would look beside the script.
    with (
        (HERE / "peers" / peer / script).open() as program,
        running("node", "--input-type=module", "-", stdin=program, cwd=folder) as line,
    ):
        yield line


@pytest.fixture(scope="session")
def a2a_sdk_python() -> Path:
    """The Python that can import the official SDK."""
    return sdk_environment()


@pytest.fixture(scope="session", params=["python", "javascript"])
def official_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an agent on an official SDK; what it does is in `peers/a2a_sdk_server.py`."""
    if request.param == "python":
        program = running(sdk_environment(), HERE / "peers" / "a2a_sdk_server.py")
    else:
        program = running_js("server.mjs")
    with program as url:
        yield url


@pytest.fixture(scope="session", params=["python", "javascript"])
def official_client(request: pytest.FixtureRequest) -> Iterator[OfficialClient]:
    """The client of an official SDK."""
    if request.param == "python":
        program = running(sdk_environment(), HERE / "peers" / "a2a_sdk_client.py")
    else:
        program = running_js("client.mjs")
    with program as port:
        yield OfficialClient(int(port))


@pytest.fixture(scope="session", params=["python", "javascript"])
def old_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an agent on an official SDK for A2A 0.3."""
    if request.param == "python":
        program = running(old_sdk_environment(), HERE / "peers" / "a2a_sdk_03_server.py")
    else:
        program = running_js("server.mjs", "js03")
    with program as url:
        yield url


@pytest.fixture(scope="session", params=["python", "javascript"])
def old_client(request: pytest.FixtureRequest) -> Iterator[OldClient]:
    """The client of an official SDK for A2A 0.3."""
    if request.param == "python":
        program = running(old_sdk_environment(), HERE / "peers" / "a2a_sdk_03_client.py")
    else:
        program = running_js("client.mjs", "js03")
    with program as port:
        yield OldClient(int(port), language=request.param)


@pytest.fixture(scope="session")
def oidc_issuer() -> Iterator[str]:
    """The URL of an OpenID Provider; what it knows is in `peers/oidc/issuer.mjs`."""
    with running_js("issuer.mjs", "oidc") as url:
        yield url
