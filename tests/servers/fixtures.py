"""Servers as fixtures: begun when the first test of a process asks for one, and gone with the process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import anyio
import pytest

from tests.servers.cloud import KEY
from tests.servers.daytona import DaytonaCloud
from tests.servers.docker import DockerDaemon, why_not
from tests.servers.e2b import E2BCloud
from tests.servers.kubernetes import Cluster
from tests.servers.kubernetes import why_not as why_no_cluster


def need_docker() -> None:
    """Skip where no daemon can be started, and say how to get it; in CI nothing is left out."""
    if (reason := why_not()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[DockerDaemon]:
    """A Docker daemon that all tests of this process share."""
    yield from started_daemon()


def started_daemon() -> Iterator[DockerDaemon]:
    """A Docker daemon, for as long as it is needed."""
    need_docker()
    daemon = DockerDaemon()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def docker_host(docker_daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> str:
    """The daemon, made the one that is used when none is named."""
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    return docker_daemon.host


@pytest.fixture(scope="session")
def e2b_server() -> Iterator[E2BCloud]:
    """What stands in for E2B, for all tests of this process."""
    cloud = E2BCloud()
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture
def e2b_cloud(e2b_server: E2BCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[E2BCloud]:
    """It, made the one that is used, with no machine left of tests before."""
    monkeypatch.setenv("E2B_API_KEY", KEY)
    monkeypatch.setenv("E2B_API_URL", e2b_server.url)
    monkeypatch.setenv("E2B_SANDBOX_URL", e2b_server.url)
    monkeypatch.setenv("E2B_HTTP_VERSION", "1.1")
    yield e2b_server
    e2b_server.forget()


@pytest.fixture(scope="session")
def daytona_server() -> Iterator[DaytonaCloud]:
    """What stands in for Daytona, for all tests of this process."""
    cloud = DaytonaCloud()
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture
def daytona_cloud(daytona_server: DaytonaCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaytonaCloud]:
    """It, made the one that is used, with no machine left of tests before."""
    monkeypatch.setenv("DAYTONA_API_KEY", KEY)
    monkeypatch.setenv("DAYTONA_API_URL", f"{daytona_server.url}/api")
    yield daytona_server
    daytona_server.forget()


@pytest.fixture(scope="session")
def kubernetes_cluster() -> Iterator[Cluster]:
    """A cluster that all tests of this process share. Left out where it was not built: that takes long."""
    if (reason := why_no_cluster()) is not None:
        pytest.skip(reason)
    cluster = Cluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def kubernetes_config(kubernetes_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, made the one that is used when none is named."""
    monkeypatch.setenv("KUBECONFIG", str(kubernetes_cluster.kubeconfig))
    return kubernetes_cluster


@pytest.fixture(scope="session")
def wasm_python() -> None:
    """The interpreter of wasm sandboxes: built once for all workers, and kept for the next run."""
    from codin.sandbox import wasm

    anyio.run(wasm.build)
