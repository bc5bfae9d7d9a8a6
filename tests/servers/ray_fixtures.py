"""A Ray cluster, and a runtime on it, as fixtures."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

import pytest

from codin.runtime import Runtime
from codin.runtime.ray import RayRuntime
from tests.servers import ray


@pytest.fixture(scope="session")
def ray_environment() -> Iterator[None]:
    """What everybody who speaks with a cluster of the tests needs, and that there can be one."""
    if (reason := ray.why_not()) is not None:
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in ray.ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def ray_cluster(ray_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ray.RayCluster]:
    """A Ray cluster that all processes of a run of tests share."""
    base = tmp_path_factory.getbasetemp()
    cluster = ray.RayCluster(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
    cluster.start()
    yield cluster
    cluster.stop()


class KeptRay(RayRuntime):
    """One driver for all tests of a process, since one takes seconds to start."""

    one: Runtime

    async def close(self) -> None:
        return

    async def end(self) -> None:
        await super().close()


@pytest.fixture(scope="session")
def ray_here(ray_cluster: ray.RayCluster) -> Iterator[None]:
    """This process is one of the cluster's own."""
    connect(ray_cluster)
    yield
    import_module("ray").shutdown()


def connect(cluster: ray.RayCluster) -> None:
    """Let this process be one of the cluster's own."""
    own: Any = import_module("ray")
    own.init(cluster.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)


@pytest.fixture(scope="session")
async def ray_runtime(ray_cluster: ray.RayCluster, anyio_backend: str) -> AsyncIterator[Runtime]:
    """A runtime on the cluster. All tests of a process run in one event loop from then on."""
    KeptRay.one = kept = KeptRay(ray_cluster.address, patience=120)
    yield kept
    await kept.end()
