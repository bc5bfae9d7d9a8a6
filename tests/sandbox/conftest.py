"""One suite for all sandboxes: a test that asks for `room` runs for every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from codin.sandbox import Policy, Sandbox, sandbox_of


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
    return Room("local", lambda policy: sandbox_of("local", policy))


def _wasm() -> Room:
    return Room("wasm", lambda policy: sandbox_of("wasm", policy), commands=False)


ROOMS: dict[str, Callable[[], Room]] = {"local": _local, "wasm": _wasm}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> Room:
    return ROOMS[request.param]()
