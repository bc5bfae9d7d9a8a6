"""One suite for all sandboxes: a test that asks for `room` runs for every kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from codin.sandbox import Policy, Sandbox, sandbox_of
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


ROOMS: dict[str, Callable[[], Room]] = {
    "local": _local,
    "wasm": _wasm,
    "docker": _docker,
    "e2b": _rented("e2b", {"memory", "cpu", "disk"}),
    "daytona": _rented("daytona", {"memory", "cpu", "disk", "syscalls"}),
}

NEEDED = {"docker": "docker_host", "wasm": "wasm_python", "e2b": "e2b_cloud", "daytona": "daytona_cloud"}
"""What has to run for a kind: a fixture."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> Room:
    if (needed := NEEDED.get(request.param)) is not None:
        request.getfixturevalue(needed)
    return ROOMS[request.param]()
