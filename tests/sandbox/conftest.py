"""One suite for all sandboxes: a test that asks for `room` runs for every kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from codin.sandbox import Policy, Sandbox, sandbox_of
from tests.sandbox.remains import children, groups, on_daemon
from tests.servers.cloud import Cloud
from tests.servers.docker import DockerDaemon
from tests.servers.fixtures import (
    daytona_cloud,
    daytona_server,
    docker_daemon,
    docker_host,
    e2b_cloud,
    e2b_server,
    started_daemon,
    wasm_python,
)

__all__ = [
    "GUESTS",
    "NEEDED",
    "ROOMS",
    "Room",
    "anyio_backend",
    "daytona_cloud",
    "daytona_server",
    "docker_daemon",
    "docker_host",
    "e2b_cloud",
    "e2b_server",
    "opened",
    "own_daemon",
    "room",
    "wasm_python",
]


@dataclass(frozen=True)
class Room:
    """A kind of sandbox as the tests use it."""

    kind: str
    make: Callable[[Policy | None], Sandbox]
    commands: bool = True
    """It runs programs, and not Python code only."""

    def __call__(self, policy: Policy | None = None) -> Sandbox:
        return self.make(policy)


def _local() -> Room:
    def make(policy: Policy | None) -> Sandbox:
        policy = policy or Policy()
        # Who is not root may have no control groups, and then shares of a processor are refused by those that ask.
        short = {"memory"} if os.geteuid() != 0 else set[str]()
        return sandbox_of("local", replace(policy, demands=policy.demands - short))

    return Room("local", make)


def _wasm() -> Room:
    return Room("wasm", lambda policy: sandbox_of("wasm", policy), commands=False)


def _docker() -> Room:
    return Room("docker", lambda policy: sandbox_of("docker", policy))


def _rented(kind: str, short: set[str]) -> Callable[[], Room]:
    """A kind whose vendor does not let the user say some of the limits."""

    def make(policy: Policy | None) -> Sandbox:
        policy = policy or Policy()
        return sandbox_of(kind, replace(policy, demands=policy.demands - short))

    return lambda: Room(kind, make)


def _gvisor() -> Room:
    def make(policy: Policy | None) -> Sandbox:
        policy = policy or Policy()
        return sandbox_of("docker", replace(policy, demands=policy.demands - {"processes"}), runtime="runsc")

    return Room("gvisor", make)


ROOMS: dict[str, Callable[[], Room]] = {
    "local": _local,
    "wasm": _wasm,
    "docker": _docker,
    "e2b": _rented("e2b", {"memory", "cpu", "disk"}),
    "daytona": _rented("daytona", {"memory", "cpu", "disk", "syscalls"}),
}
GUESTS: dict[str, Callable[[], Room]] = {"gvisor": _gvisor}
"""Those with a kernel of their own: some of what would be a hole in the host's is theirs to give."""

NEEDED = {
    "docker": "docker_host",
    "gvisor": "docker_host",
    "wasm": "wasm_python",
    "e2b": "e2b_cloud",
    "daytona": "daytona_cloud",
}
"""What has to run for a kind: a fixture."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own_daemon() -> Iterator[DockerDaemon]:
    """A Docker daemon for a test that harms it."""
    yield from started_daemon()


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    """A kind of sandbox. Whatever was tried in those of the test, nothing is left of them."""
    yield from opened(request)


def opened(request: pytest.FixtureRequest) -> Iterator[Room]:
    """The kind that a fixture is asked for, and a look at what is left of it."""
    needed = NEEDED.get(request.param)
    server: Any = None if needed is None else request.getfixturevalue(needed)
    before = set(children())
    yield {**ROOMS, **GUESTS}[request.param]()
    assert groups() == []
    assert {child: command for child, command in children().items() if child not in before} == {}
    if isinstance(server, Cloud):
        assert not server.machines
    elif isinstance(server, str):
        assert on_daemon(server) == []
