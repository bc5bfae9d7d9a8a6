"""What examples need to have running."""

from tests.servers.fixtures import (
    daytona_cloud,
    daytona_server,
    docker_daemon,
    docker_host,
    e2b_cloud,
    e2b_server,
    wasm_python,
)

__all__ = [
    "daytona_cloud",
    "daytona_server",
    "docker_daemon",
    "docker_host",
    "e2b_cloud",
    "e2b_server",
    "wasm_python",
]
