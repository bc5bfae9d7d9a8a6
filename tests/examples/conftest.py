"""What examples need to have running."""

from tests.servers.fixtures import docker_daemon, docker_host, wasm_python

__all__ = ["docker_daemon", "docker_host", "wasm_python"]
