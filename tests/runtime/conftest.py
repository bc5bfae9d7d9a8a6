"""One suite for all runtimes: a test that asks for `place` runs on every one of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from codin.runtime import LocalRuntime, Runtime, RuntimeResult, SandboxDemand, Workload, runtime_of
from codin.runtime.ray import RayRuntime
from tests.sandbox.conftest import own_daemon
from tests.sandbox.remains import children, groups, left
from tests.servers.fixtures import daytona_cloud as daytona_cloud
from tests.servers.fixtures import daytona_server as daytona_server
from tests.servers.fixtures import docker_daemon, docker_host, wasm_python
from tests.servers.fixtures import kubernetes_cluster as kubernetes_cluster
from tests.servers.fixtures import kubernetes_config as kubernetes_config
from tests.servers.kubernetes import Cluster
from tests.servers.ray_fixtures import KeptRay, ray_cluster, ray_environment, ray_here, ray_runtime

__all__ = [
    "NEEDED",
    "PLACES",
    "Place",
    "anyio_backend",
    "docker_daemon",
    "docker_host",
    "own_daemon",
    "place",
    "ray_cluster",
    "ray_environment",
    "ray_here",
    "ray_runtime",
    "wasm_python",
    "where",
]


@dataclass(frozen=True)
class Place:
    """A runtime, and what the tests ask of a sandbox there."""

    name: str
    runtime: Runtime
    sandbox: SandboxDemand | None = None

    async def run(self, workload: Workload, *, stream: bool = False) -> RuntimeResult:
        if self.sandbox is not None and workload.sandbox is None:
            workload = replace(workload, sandbox=self.sandbox)
        return await self.runtime.run(workload, stream=stream)

    def runs(self, kind: str) -> bool:
        return kind in self.runtime.kinds


IN_CLUSTER: dict[str, Any] = {"image": "codin/python:1", "enforces": ("network", "processes")}

PLACES: dict[str, Callable[[], Place]] = {
    "host": lambda: Place("host", LocalRuntime(), "off"),
    "local": lambda: Place("local", LocalRuntime(sandboxes=("local",)), "required"),
    "docker": lambda: Place("docker", runtime_of("docker"), "required"),
    "kubernetes": lambda: Place("kubernetes", runtime_of("kubernetes", **IN_CLUSTER), "required"),
    "ray": lambda: Place("ray", KeptRay.one, "required"),
    "ray-worker": lambda: Place("ray-worker", KeptRay.one, "off"),
    "ray-here": lambda: Place("ray-here", RayRuntime(driver="here"), "off"),
}

NEEDED = {
    "docker": "docker_host",
    "kubernetes": "kubernetes_config",
    "ray": "ray_runtime",
    "ray-worker": "ray_runtime",
    "ray-here": "ray_here",
}
"""What has to run for a place: a fixture."""


CLUSTERS = ("kubernetes", "ray", "ray-worker", "ray-here")
"""Places that take minutes: `make test-distributed` tests them, and nothing else."""
HERE = [name for name in PLACES if (name in CLUSTERS) is ("CODIN_DISTRIBUTED" in os.environ)]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=HERE)
def where(request: pytest.FixtureRequest) -> str:
    """The name of a place that is there."""
    if (needed := NEEDED.get(request.param)) is not None:
        request.getfixturevalue(needed)
    return request.param


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def of_its_client(folder: Path) -> list[str]:
    """What Kubernetes' own client keeps of a kubeconfig until the process ends: certificates, as files."""
    kept: dict[str, str] = import_module("kubernetes_asyncio.config.kube_config")._temp_files
    return sorted(file.name for file in map(Path, kept.values()) if file.parent == folder)


@pytest.fixture
async def place(where: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A runtime. Whatever the test ran there, nothing is left of it."""
    place = PLACES[where]()
    before = set(children())
    with pytest.MonkeyPatch.context() as here:
        here.setattr(tempfile, "tempdir", str(tmp_path))
        async with place.runtime:
            yield place
    assert names_in(tmp_path) == (of_its_client(tmp_path) if where == "kubernetes" else [])
    if where == "docker":
        assert await left(request.getfixturevalue("docker_host")) == []
    elif where == "kubernetes":
        cluster: Cluster = request.getfixturevalue("kubernetes_config")
        assert (cluster.node.running(), cluster.left()) == ([], [])
    elif where in ("host", "local"):
        assert groups() == []
        assert {child: command for child, command in children().items() if child not in before} == {}
