"""One server for each test, and the wires to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from codin.server import App
from codin.task import Limits
from tests.server.sockets import listening
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import WIRES, Wire


@pytest.fixture(params=list(WIRES))
def binding(request: pytest.FixtureRequest) -> str:
    """The binding of the wire."""
    return request.param


@pytest.fixture
def options(binding: str) -> dict[str, Any]:
    """What every served app is given. Tasks that a test leaves behind are not waited for."""
    return {"limits": Limits(drain=0.05), "grpc_port": 0 if binding == "GRPC" else None}


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


@pytest.fixture
def app(clerk: Clerk, options: dict[str, Any]) -> App:
    """What is served; a module may serve something else."""
    return App(clerk, parrot, **options)


@pytest.fixture
async def wire(binding: str, app: App) -> AsyncIterator[Wire]:
    async with asyncio.timeout(30), listening(app) as served, WIRES[binding](served.url, app) as wire:
        yield wire
