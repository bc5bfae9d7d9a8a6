"""The sides a benchmark compares: which interpreter, which module, which environment."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rig.plan import Unavailable

PEER = "a2a-sdk 1.3.0"
ROOT = Path(__file__).resolve().parents[2]

_REQUIREMENTS = ("a2a-sdk[http-server,signing,sqlite]==1.3.0", "uvicorn", "httptools", "uvloop")
_PROBE = """
import importlib, importlib.metadata, platform
for name in ("uvicorn", "httptools", "uvloop", "starlette", "sse_starlette", "aiosqlite", "sqlalchemy", "httpx", "jwt"):
    importlib.import_module(name)
print(importlib.metadata.version("a2a-sdk"), platform.python_version())
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One contender.

    Args:
        python: The interpreter its processes run under.
        server: The module whose `build(agent, store, port)` makes its ASGI app.
        client: The module whose `main()` measures its client, if it has one.
        environ: What is added to the environment of its processes.
    """

    name: str
    python: str
    server: str
    client: str = ""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def process_environ(self) -> dict[str, str]:
        """The environment of its child processes; the repository is importable in it."""
        # DEBUG switches of the shell must not reach one side and not the other.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OTEL_", "CODIN_"))}
        return {**kept, "PYTHONPATH": str(ROOT), **self.environ}


def codin() -> Side:
    """codin with default settings, under the interpreter that runs the benchmarks."""
    return Side("codin", sys.executable, "benchmarks.ours.server", "benchmarks.ours.client")


def floor() -> Side:
    """A bare Starlette endpoint with the json module: what HTTP and JSON cost when nothing else is done."""
    return Side("starlette+json", sys.executable, "benchmarks.peers.floor")


def a2a_sdk(*, tracing: bool = False, database: bool = False) -> Side:
    """The official SDK in an environment of its own, built when it is missing.

    Args:
        tracing: The SDK makes spans for its every step unless it is told not to.
        database: Whether it may see SQLAlchemy; see `benchmarks/peers/__init__.py`.
    """
    environ = {"OTEL_INSTRUMENTATION_A2A_SDK_ENABLED": str(tracing).lower()}
    if database:
        environ["BENCHMARK_DATABASE"] = "1"
    return Side(
        f"{PEER}{' with tracing' if tracing else ''}",
        str(_environment() / "bin" / "python"),
        "benchmarks.peers.a2a_sdk_server",
        "benchmarks.peers.a2a_sdk_client",
        environ,
    )


def _environment() -> Path:
    """The folder of the peer's virtual environment; created and filled on first use."""
    home = Path(os.environ.get("CODIN_PEERS") or Path.home() / ".cache" / "codin-peers")
    folder = home / "a2a"
    if not (found := _probe(folder)):
        _install(folder)
        found = _probe(folder)
    if not found:
        raise Unavailable(f"{folder} does not hold a working {PEER}; remove the folder and run again")
    version, python = found
    if version != PEER.split()[1]:
        raise Unavailable(f"{folder} holds a2a-sdk {version} and not {PEER}; remove the folder and run again")
    if python != platform.python_version():
        print(f"note: the peer runs on Python {python}, codin on {platform.python_version()}", file=sys.stderr)
    return folder


_probed: dict[Path, tuple[str, str]] = {}


def _probe(folder: Path) -> tuple[str, str] | None:
    """The a2a-sdk and Python versions in the environment, or None when something is missing."""
    if folder not in _probed:
        python = folder / "bin" / "python"
        if not python.exists():
            return None
        answer = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, check=False)
        if answer.returncode:
            return None
        version, release = answer.stdout.split()
        _probed[folder] = (version, release)
    return _probed[folder]


def _install(folder: Path) -> None:
    print(f"building the peer's environment in {folder} (once)", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        steps = [
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", python, *_REQUIREMENTS],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"building {folder} failed at {' '.join(step[:4])} …: {done.stderr.strip()[-600:]}")
