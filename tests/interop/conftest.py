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
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from docs import interop
from tests.interop.official_client import OfficialClient
from tests.interop.old_client import OldClient

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = Path(os.environ.get("CODIN_PEERS") or Path.home() / ".cache" / "codin-peers")

A2A_SDK = "1.3.0"
_INSTALLED = """
from importlib.metadata import version
raise SystemExit(not all(map(version, ["grpcio", "pyjwt", "uvicorn"])) or version("a2a-sdk") != {version!r})
"""
_NODE = 20
_PATIENCE = 100.0  # of a machine that does other things meanwhile


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


def pinned_environment(name: str, pins: str) -> Path:
    """The Python of an environment that holds what a list below `peers` pins."""
    python = PEERS / name / "bin" / "python"
    pinned = HERE / "peers" / pins
    made = PEERS / name / "made.txt"
    with locked(name):
        if not python.exists() or not made.exists() or made.read_text() != pinned.read_text():
            subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS / name], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", pinned], check=True)
            shutil.copyfile(pinned, made)
    return python


def adk_environment() -> Path:
    """The Python of the environment that holds ADK with the official SDK, which the tests' own has not."""
    python = PEERS / "adk" / "bin" / "python"
    if not python.exists():
        missing = f"ADK's client needs an environment at {python.parents[1]}: `make peers`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return python


def crewai_environment() -> Path:
    """The Python of the environment that holds CrewAI and what its A2A client needs."""
    python = ROOT / ".frameworks" / "crewai" / "bin" / "python"
    if not any(python.parents[1].glob("lib/*/site-packages/a2a")):
        missing = f"CrewAI needs an environment at {python.parents[1]}: `make frameworks`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
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
            program.wait(timeout=_PATIENCE)


@contextmanager
def running_js(script: str, *arguments: str, peer: str = "js") -> Generator[str]:
    """A program of a peer in JavaScript; gives the first line it prints."""
    folder = js_environment(peer)
    # From standard input, node looks for packages in the working directory; else it would look beside the script.
    with (
        (HERE / "peers" / peer / script).open() as program,
        running("node", "--input-type=module", "-", *arguments, stdin=program, cwd=folder) as line,
    ):
        yield line


def _python(script: str, environment: Callable[[], Path], *arguments: str) -> AbstractContextManager[str]:
    # ADK warns that nearly everything here is experimental.
    return running(environment(), "-W", "ignore", HERE / "peers" / script, *arguments)


@contextmanager
def _crewai(*arguments: str | Path) -> Generator[str]:
    """A program in CrewAI's environment. What it stores, by default in the user's home, goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {**os.environ, "CREWAI_STORAGE_DIR": folder, "TMPDIR": folder}
        with running(crewai_environment(), "-W", "ignore", *arguments, cwd=ROOT, env=kept) as line:
            yield line


_OLD = partial(pinned_environment, "a2a03", "a2a_sdk_03.txt")
_AGENT_FRAMEWORK = partial(pinned_environment, "af", "agent_framework.txt")

PROGRAMS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "python client": lambda: _python("a2a_sdk_client.py", sdk_environment),
    "python server": lambda: _python("a2a_sdk_server.py", sdk_environment),
    "python grpc server": lambda: _python("a2a_sdk_server.py", sdk_environment, "grpc"),
    "javascript client": lambda: running_js("client.mjs"),
    "javascript server": lambda: running_js("server.mjs"),
    "javascript grpc server": lambda: running_js("server.mjs", "grpc"),
    "old-python client": lambda: _python("a2a_sdk_03_client.py", _OLD),
    "old-python server": lambda: _python("a2a_sdk_03_server.py", _OLD),
    "old-javascript client": lambda: running_js("client.mjs", peer="js03"),
    "old-javascript server": lambda: running_js("server.mjs", peer="js03"),
    "adk client": lambda: _python("adk_client.py", adk_environment),
    "agent-framework client": lambda: _python("agent_framework_client.py", _AGENT_FRAMEWORK),
    "crewai client": lambda: _crewai(HERE / "peers" / "crewai_client.py"),
    "crewai agents": lambda: _crewai("-m", "tests.interop.cases", "crewai"),
}


def _in(environment: Callable[[], Path]) -> Callable[[str], str]:
    def version(package: str) -> str:
        asking = "from importlib.metadata import version; import sys; print(version(sys.argv[1]))"
        done = subprocess.run([environment(), "-c", asking, package], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return version


def _in_js(folder: str) -> Callable[[str], str]:
    def version(package: str) -> str:
        return json.loads((js_environment(folder) / "node_modules" / package / "package.json").read_text())["version"]

    return version


VERSIONS: dict[str, Callable[[str], str]] = {
    "python": _in(sdk_environment),
    "javascript": _in_js("js"),
    "old-python": _in(_OLD),
    "old-javascript": _in_js("js03"),
    "adk": _in(adk_environment),
    "agent-framework": _in(_AGENT_FRAMEWORK),
    "agno": metadata.version,
    "crewai": _in(crewai_environment),
}
"""Which version of its package the environment of a peer holds."""


class Programs:
    """The programs that speak for peers, each started when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lines: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """What a program printed first: the port of a client, the URL of a server."""
        if name not in self._lines:
            self._lines[name] = self._stack.enter_context(PROGRAMS[name]())
        return self._lines[name]


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    with ExitStack() as stack:
        yield Programs(stack)


@pytest.fixture(scope="session")
def a2a_sdk_python() -> Path:
    """The Python that can import the official SDK."""
    return sdk_environment()


@pytest.fixture(scope="session", params=["python", "javascript"])
def official_server(request: pytest.FixtureRequest, programs: Programs) -> str:
    """The URL of an agent on an official SDK; what it does is in `peers/a2a_sdk_server.py`."""
    return programs[f"{request.param} server"]


@pytest.fixture(scope="session", params=["python", "javascript"])
def official_client(request: pytest.FixtureRequest, programs: Programs) -> OfficialClient:
    """The client of an official SDK."""
    return OfficialClient(int(programs[f"{request.param} client"]))


@pytest.fixture(scope="session", params=["python", "javascript"])
def old_server(request: pytest.FixtureRequest, programs: Programs) -> str:
    """The URL of an agent on an official SDK for A2A 0.3."""
    return programs[f"old-{request.param} server"]


@pytest.fixture(scope="session", params=["python", "javascript"])
def old_client(request: pytest.FixtureRequest, programs: Programs) -> OldClient:
    """The client of an official SDK for A2A 0.3."""
    return OldClient(int(programs[f"old-{request.param} client"]), language=request.param)


@pytest.fixture(scope="session")
def oidc_issuer() -> Iterator[str]:
    """The URL of an OpenID Provider; what it knows is in `peers/oidc/issuer.mjs`."""
    with running_js("issuer.mjs", peer="oidc") as url:
        yield url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The matrix, as this run found it."""
    outcomes: dict[tuple[str, str], str] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            if not isinstance(report, pytest.TestReport):
                continue  # a module that could not be collected
            found: Any = dict(report.user_properties).get("cell")
            if found is not None:
                row, cell, mark = found
                outcomes[row, cell] = mark if outcome == "passed" else "FAILED"
    if outcomes:
        terminalreporter.section("interop")
        for line in interop.drawn(outcomes):
            terminalreporter.line(line)
